//! The interface for DNS queries, for checks.

mod table;

use std::fmt;

pub use table::Table;

use async_trait::async_trait;

use crate::{Name, RecordData, RecordType};

/// The answer of the DNS for one record set. A missing response has its own variant, so that it is never taken for
/// "does not exist".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The values, at least one; aliases are followed.
    Found {
        /// The values.
        values: Vec<RecordData>,
        /// The name that has the values, if the queried name is an alias (CNAME).
        alias_of: Option<Name>,
    },
    /// The name exists, but has no such set.
    NoSuchSet,
    /// The name does not exist.
    NoSuchName,
    /// No server answered, or none with a conclusive answer; the reason.
    Unknown(String),
}

impl Answer {
    /// Creates an answer from values at the name itself; without values, the set does not exist.
    pub fn found(values: Vec<RecordData>) -> Self {
        if values.is_empty() { Self::NoSuchSet } else { Self::Found { values, alias_of: None } }
    }

    /// Returns the values; empty if there are none.
    ///
    /// # Errors
    /// The reason, if the answer is not known.
    pub fn values(&self) -> Result<&[RecordData], NotKnown> {
        match self {
            Self::Found { values, .. } => Ok(values),
            Self::NoSuchSet | Self::NoSuchName => Ok(&[]),
            Self::Unknown(why) => Err(NotKnown(why.clone())),
        }
    }

    /// Returns the texts among the values, each with its strings joined.
    ///
    /// # Errors
    /// The reason, if the answer is not known.
    pub fn texts(&self) -> Result<Vec<Vec<u8>>, NotKnown> {
        let texts = self.values()?.iter().filter_map(|value| match value {
            RecordData::Txt(text) => Some(text.joined()),
            _ => None,
        });
        Ok(texts.collect())
    }
}

/// The reason why an answer is not known: no server answered the query. It is not an [`Error`](crate::Error), because
/// it is a result to report rather than a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotKnown(pub String);

impl fmt::Display for NotKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resolver for record sets: a recursive resolver, the authoritative servers, or a test.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// Queries the DNS for a record set. It has its own time limit, after which it returns [`Answer::Unknown`].
    async fn resolve(&self, name: &Name, rtype: RecordType) -> Answer;
}

/// Returns the name whose PTR records name an address (RFC 1035, section 3.5; RFC 3596, section 2.5).
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

/// Returns the labels of an address, last part first, and the zone of all addresses of its family.
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
