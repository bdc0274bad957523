//! Asking the DNS, for those who judge what it says.

mod table;

use std::fmt;

pub use table::Table;

use async_trait::async_trait;

use crate::{Name, RecordData, RecordType};

/// What the DNS says of one record set. That nobody answered is an answer of its own, so that it is never taken for
/// "there is none".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The values, at least one; aliases on the way to them are followed.
    Found {
        /// The values.
        values: Vec<RecordData>,
        /// The name that has them, when the name that was asked is an alias (CNAME).
        alias_of: Option<Name>,
    },
    /// The name exists and has no such set.
    NoSuchSet,
    /// The name does not exist.
    NoSuchName,
    /// Nobody answered, or nobody who knows: the reason.
    Unknown(String),
}

impl Answer {
    /// Values that were found at the name itself; none means that there is no such set.
    pub fn found(values: Vec<RecordData>) -> Self {
        if values.is_empty() { Self::NoSuchSet } else { Self::Found { values, alias_of: None } }
    }

    /// The values; none where there are none.
    ///
    /// # Errors
    /// The reason, when nobody knows.
    pub fn values(&self) -> Result<&[RecordData], NotKnown> {
        match self {
            Self::Found { values, .. } => Ok(values),
            Self::NoSuchSet | Self::NoSuchName => Ok(&[]),
            Self::Unknown(why) => Err(NotKnown(why.clone())),
        }
    }

    /// The texts among the values, each with its strings joined.
    ///
    /// # Errors
    /// The reason, when nobody knows.
    pub fn texts(&self) -> Result<Vec<Vec<u8>>, NotKnown> {
        let texts = self.values()?.iter().filter_map(|value| match value {
            RecordData::Txt(text) => Some(text.joined()),
            _ => None,
        });
        Ok(texts.collect())
    }
}

/// Why something is not known: no server answered the question. It is no [`Error`](crate::Error), because it is an
/// answer to report rather than a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotKnown(pub String);

impl fmt::Display for NotKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who can be asked for record sets: a recursive resolver, the authoritative servers, or a test.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// What the DNS says of a record set. It ends in a time of its own, with [`Answer::Unknown`] at the latest.
    async fn resolve(&self, name: &Name, rtype: RecordType) -> Answer;
}

/// The name whose PTR records name an address (RFC 1035, section 3.5; RFC 3596, section 2.5).
///
/// ```
/// let name = cloudron_dns::resolve::reverse_name("192.0.2.1".parse().unwrap());
/// assert_eq!(name.to_string(), "1.2.0.192.in-addr.arpa.");
/// ```
pub fn reverse_name(address: std::net::IpAddr) -> Name {
    let (labels, suffix) = reversed_labels(address);
    let name = format!("{labels}.{suffix}");
    Name::parse(&name).expect("digits and a known suffix are a name")
}

/// The labels of an address, last part first, and the zone that all addresses of its family are in.
pub(crate) fn reversed_labels(address: std::net::IpAddr) -> (String, &'static str) {
    match address {
        std::net::IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            (format!("{d}.{c}.{b}.{a}"), "in-addr.arpa")
        }
        std::net::IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let labels: Vec<String> = nibbles.rev().map(|nibble| format!("{nibble:x}")).collect();
            (labels.join("."), "ip6.arpa")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_reversed_by_nibbles() {
        let name = reverse_name("2001:db8::1".parse().unwrap());
        let zeros = "0.".repeat(23);
        assert_eq!(name.to_string(), format!("1.{zeros}8.b.d.0.1.0.0.2.ip6.arpa."));
    }

    #[test]
    fn that_nobody_answered_is_never_taken_for_nothing() {
        assert_eq!(Answer::NoSuchName.values(), Ok(&[][..]));
        assert!(Answer::Unknown("no answer".into()).values().is_err());
    }
}
