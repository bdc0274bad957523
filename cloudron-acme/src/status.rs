//! What the owner sees of a certificate, and says about one that is revoked.

use std::path::PathBuf;

use crate::certificates::{Entry, Inner};
use crate::events::Served;
use crate::schedule::{Seconds, renewal};

/// Why a certificate is revoked (RFC 5280, section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// None is given.
    Unspecified,
    /// Somebody else has its key.
    KeyCompromise,
    /// Another one took its place.
    Superseded,
    /// The names are not used any more.
    CessationOfOperation,
}

impl Reason {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
        }
    }
}

/// How it stands with one certificate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// Its ID.
    pub id: String,
    /// The names that it is wanted for.
    pub names: Vec<String>,
    /// What is served for them.
    pub served: Served,
    /// When it will be renewed, if there is one.
    pub renewal: Option<Seconds>,
    /// The code and the text of the last failure, and since when it fails.
    pub failing: Option<(String, String, Seconds)>,
    /// Its file, key and chain, PEM.
    pub file: PathBuf,
}

impl Inner {
    /// Returns how it stands with a certificate.
    pub(crate) fn status_of(&self, id: &str, entry: &Entry, now: Seconds) -> Status {
        let record = &entry.record;
        let life = entry.certificate.as_ref().map(|certificate| certificate.life);
        let ari =
            entry.certificate.as_ref().and_then(|certificate| record.ari_of(certificate.ari.as_deref()));
        Status {
            id: id.to_owned(),
            names: entry.wanted.names.iter().map(ToString::to_string).collect(),
            served: entry.served(now),
            renewal: life.map(|life| renewal(life, ari, record.spread)),
            failing: record.failure.as_ref().map(|f| (f.code.clone(), f.message.clone(), f.since)),
            file: self.store.path(id),
        }
    }
}
