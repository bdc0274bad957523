//! What somebody wants of a zone.

use serde::{Deserialize, Serialize};

use crate::{OwnerName, RecordKey, RecordSet, RecordType, Ttl};

/// What somebody wants of one record set. A zone's other record sets are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Intent {
    /// The set has exactly these values and this time to live.
    Exactly(RecordSet),
    /// The set exists in some form: it is made if there is none, and one that somebody else made is good as it is.
    Default(RecordSet),
    /// There is no such set.
    Absent(RecordKey),
    /// The set has these values, besides those of others. Its time to live is kept if it exists.
    Include(RecordSet),
    /// The set has none of these values; those of others stay.
    Exclude(RecordSet),
    /// The name has one SPF record, and it lets these mechanisms pass (RFC 7208): they are merged into one that
    /// exists.
    Spf {
        /// The domain of the mail addresses.
        name: OwnerName,
        /// The time to live if the set does not exist.
        ttl: Ttl,
        /// The mechanisms, such as `a:my.example.com`.
        mechanisms: Vec<String>,
    },
    /// The name's SPF record, if there is one, does not have these mechanisms.
    SpfWithout {
        /// The domain of the mail addresses.
        name: OwnerName,
        /// The mechanisms.
        mechanisms: Vec<String>,
    },
}

impl Intent {
    /// The record set that it is about.
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
