//! Queries of a receiver while it evaluates a record, within the limits of RFC 7208, section 4.6.4.

use std::net::IpAddr;

use super::MAX_LOOKUPS;
use super::term::Prefix;
use crate::resolve::{Answer, Resolve, reverse_name};
use crate::{Name, RecordData, RecordType};

/// Maximum number of lookups that may find nothing (RFC 7208, section 4.6.4).
pub const MAX_VOID_LOOKUPS: usize = 2;

/// Maximum number of names of mail servers, or of an address, that are evaluated (RFC 7208, section 4.6.4).
pub(super) const MAX_NAMES: usize = 10;

/// The reason why the evaluation is aborted.
pub(super) struct Broken {
    pub(super) temporary: bool,
    pub(super) why: String,
}

impl Broken {
    pub(super) fn permanent(why: impl Into<String>) -> Self {
        Self { temporary: false, why: why.into() }
    }

    pub(super) fn temporary(why: impl Into<String>) -> Self {
        Self { temporary: true, why: why.into() }
    }
}

/// The queries about one sender.
pub(super) struct Asker<'a> {
    pub(super) resolver: &'a dyn Resolve,
    /// Address of the sender.
    pub(super) address: IpAddr,
    /// Number of terms that caused a lookup.
    pub(super) lookups: usize,
    /// Number of queries that found nothing.
    voids: usize,
}

impl<'a> Asker<'a> {
    pub(super) fn new(resolver: &'a dyn Resolve, address: IpAddr) -> Self {
        Self { resolver, address, lookups: 0, voids: 0 }
    }

    /// Returns whether a name has the sender's address, or one of the same network.
    pub(super) async fn has_sender(
        &mut self,
        name: &Name,
        prefix: Prefix,
        counts: bool,
    ) -> Result<bool, Broken> {
        let (rtype, bits) = match self.address {
            IpAddr::V4(_) => (RecordType::A, prefix.v4),
            IpAddr::V6(_) => (RecordType::AAAA, prefix.v6),
        };
        let values = if counts { self.values(name, rtype).await? } else { self.asked(name, rtype).await?.0 };
        Ok(values.iter().filter_map(address).any(|network| is_in(self.address, network, bits)))
    }

    /// Returns the names of the sender's address that resolve to that address (section 5.5). Names without an answer
    /// are skipped.
    pub(super) async fn validated_names(&mut self) -> Result<Vec<Name>, Broken> {
        let reverse = reverse_name(self.address);
        let answer = self.resolver.resolve(&reverse, RecordType::PTR).await;
        if matches!(answer, Answer::NoSuchName | Answer::NoSuchSet) {
            self.void(&reverse)?;
        }
        let names = answer.values().unwrap_or_default().iter().filter_map(|value| match value {
            RecordData::Ptr(name) => Some(name.clone()),
            _ => None,
        });
        let mut validated = Vec::new();
        for name in names.take(MAX_NAMES) {
            if self.has_sender(&name, Prefix { v4: 32, v6: 128 }, false).await.unwrap_or(false) {
                validated.push(name);
            }
        }
        Ok(validated)
    }

    /// Returns the values that a term itself queries; an empty result is counted.
    pub(super) async fn values(&mut self, name: &Name, rtype: RecordType) -> Result<Vec<RecordData>, Broken> {
        let (values, void) = self.asked(name, rtype).await?;
        if void {
            self.void(name)?;
        }
        Ok(values)
    }

    async fn asked(&self, name: &Name, rtype: RecordType) -> Result<(Vec<RecordData>, bool), Broken> {
        let answer = self.resolver.resolve(name, rtype).await;
        let values = answer.values().map_err(|e| Broken::temporary(format!("{name} {rtype}: {e}")))?;
        Ok((values.to_vec(), values.is_empty()))
    }

    fn void(&mut self, name: &Name) -> Result<(), Broken> {
        self.voids += 1;
        if self.voids > MAX_VOID_LOOKUPS {
            let why = format!("more than {MAX_VOID_LOOKUPS} look-ups find nothing, the last one {name}");
            return Err(Broken::permanent(why));
        }
        Ok(())
    }

    pub(super) fn count(&mut self, text: &str) -> Result<(), Broken> {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS {
            return Err(Broken::permanent(format!(
                "{text} is look-up {}, where {MAX_LOOKUPS} are allowed",
                self.lookups
            )));
        }
        Ok(())
    }
}

fn address(value: &RecordData) -> Option<IpAddr> {
    match value {
        RecordData::A(v4) => Some((*v4).into()),
        RecordData::Aaaa(v6) => Some((*v6).into()),
        _ => None,
    }
}

/// Returns whether the first `bits` of two addresses of one family are equal.
pub(super) fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            let shift = 32 - u32::from(bits);
            (a.to_bits() ^ n.to_bits()).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            let shift = 128 - u32::from(bits);
            (a.to_bits() ^ n.to_bits()).checked_shr(shift).unwrap_or(0) == 0
        }
        _ => false,
    }
}
