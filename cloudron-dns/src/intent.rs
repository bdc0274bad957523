//! The desired state of a zone.

use serde::{Deserialize, Serialize};

use crate::{Name, OwnerName, RecordKey, RecordSet, RecordType, Ttl};

/// The desired state of one record set. Other record sets of the zone are not changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Intent {
    /// The set has exactly these values and this TTL.
    Exactly(RecordSet),
    /// The set exists in any form: it is created if it does not exist, and one of another owner is accepted as it is.
    Default(RecordSet),
    /// The set does not exist.
    Absent(RecordKey),
    /// The set has these values, in addition to those of others. Its TTL is kept if it exists.
    Include(RecordSet),
    /// The set has none of these values; values of others stay.
    Exclude(RecordSet),
    /// The name has one SPF record, and it allows these mechanisms (RFC 7208): they are merged into an existing one.
    Spf {
        /// The domain of the mail addresses.
        name: OwnerName,
        /// The TTL if the set does not exist.
        ttl: Ttl,
        /// The mechanisms, such as `a:my.example.com`.
        mechanisms: Vec<String>,
    },
    /// The name's SPF record, if it exists, does not contain these mechanisms.
    SpfWithout {
        /// The domain of the mail addresses.
        name: OwnerName,
        /// The mechanisms.
        mechanisms: Vec<String>,
    },
}

impl Intent {
    /// Returns whether it is about what the DNS host itself sets: the SOA record of a zone, or its own name servers. Zone
    /// files of another host have these too.
    pub fn is_of_host(&self, apex: &Name) -> bool {
        let key = self.key();
        key.rtype == RecordType::SOA || (key.rtype == RecordType::NS && key.name == *apex)
    }

    /// Returns the key of the record set.
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Exactly(set) | Self::Default(set) | Self::Include(set) | Self::Exclude(set) => {
                set.key().clone()
            }
            Self::Absent(key) => key.clone(),
            Self::Spf { name, .. } | Self::SpfWithout { name, .. } => {
                RecordKey::new(name.clone(), RecordType::TXT)
            }
        }
    }
}
