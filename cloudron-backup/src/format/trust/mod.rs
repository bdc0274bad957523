//! Trusted signers of a repository: the owner, and the writers that the owner certified.

mod limits;
mod ranges;
mod revocation;
mod source;
mod verdict;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use cloudron_core::{Error, Result};
use ed25519_dalek::VerifyingKey;
use serde_json::Value;

pub(crate) use ranges::{Ranges, gaps, highest};
pub(crate) use revocation::revocation;
pub(crate) use verdict::Standing;

use crate::format::config::{Config, FIRST};
use crate::keys::sign::verifying_key;
use crate::keys::{Certificate, Identity, WriterId, WriterKeys};
use crate::store::blocking::Blocking;
use crate::store::{BackupStore, get_all};
use crate::{codes, layout};

/// The signer of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The owner of the repository, who has read and hashed everything in the owner's lists.
    Owner,
    /// A writer.
    Writer(WriterId),
    /// A writer of a repository of format 1, where all writers share a key and do not sign what they list.
    Unverified,
}

/// The key that verifies the owner's signatures.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor<'a> {
    /// The key of the identity, for operations of the owner.
    Identity(&'a Identity),
    /// The key that a writer received with its keys.
    Writer(&'a WriterKeys),
    /// The key in the description of the repository, if no better one is available.
    Description,
}

/// The trusted keys of one repository.
#[derive(Debug)]
pub(crate) struct Trust {
    repository: String,
    root: Root,
    /// Revoked writers, and the hashes of their summaries that remain valid.
    revoked: HashMap<WriterId, HashSet<String>>,
    /// Certificates checked before, by their text.
    checked: Mutex<HashMap<String, Option<WriterId>>>,
    /// Revocations not signed by the owner: key and reason.
    pub(crate) foreign: Vec<(String, String)>,
}

#[derive(Debug)]
enum Root {
    Owner(VerifyingKey),
    /// The keys that sign summaries in a repository of format 1, and the owner's if it is known.
    First(Vec<VerifyingKey>, Option<VerifyingKey>),
}

impl Trust {
    /// Reads the revocations.
    ///
    /// # Errors
    /// Errors of the store; `repository-corrupt` for a description without the owner's key.
    pub(crate) async fn read(
        store: &Arc<dyn BackupStore>,
        config: &Config,
        anchor: Anchor<'_>,
    ) -> Result<Self> {
        let mut trust = Self::of(&config.id, root(config, anchor)?);
        if config.version == FIRST {
            return Ok(trust);
        }
        let mut objects = store.list(layout::REVOKED).await?;
        objects.retain(|o| layout::is_hash_json(&o.key));
        for (object, content) in get_all(store, objects, layout::MOST_LIST).await? {
            match content {
                Ok(content) => trust.revoke(object.key, &content),
                Err(e) if e.is(&codes::OBJECT_MISSING) => {}
                Err(e) if e.is(&codes::OBJECT_CORRUPT) => {
                    trust.foreign.push((object.key, "it is too large".to_owned()));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(trust)
    }

    /// Returns the trust in a repository of this owner without revocations.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of_owner(repository: &str, owner: VerifyingKey) -> Self {
        Self::of(repository, Root::Owner(owner))
    }

    /// Returns the trust in a repository of format 1.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of_first(repository: &str, key: VerifyingKey) -> Self {
        Self::of(repository, Root::First(vec![key], None))
    }

    fn of(repository: &str, root: Root) -> Self {
        Self {
            repository: repository.to_owned(),
            root,
            revoked: HashMap::new(),
            checked: Mutex::default(),
            foreign: Vec::new(),
        }
    }

    /// As [`read`](Self::read), on a thread that may block.
    pub(crate) fn load(store: &Blocking, config: &Config, anchor: Anchor<'_>) -> Result<Self> {
        store.with(|inner| async move { Self::read(&inner, config, anchor).await })
    }

    /// Returns the id of the repository.
    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// Checks whether the repository is of format 1.
    pub(crate) fn is_first(&self) -> bool {
        matches!(self.root, Root::First(..))
    }

    /// Checks whether a writer is revoked.
    pub(crate) fn is_revoked(&self, writer: &WriterId) -> bool {
        self.revoked.contains_key(writer)
    }

    /// Returns the owner's public key, if it is known.
    pub(crate) fn owner(&self) -> Option<&VerifyingKey> {
        match &self.root {
            Root::Owner(key) => Some(key),
            Root::First(_, key) => key.as_ref(),
        }
    }

    /// Returns the writer of a certificate that the owner signed. The writer may be revoked.
    pub(crate) fn writer(&self, certificate: &Value) -> Option<WriterId> {
        let owner = self.owner()?;
        let text = certificate.to_string();
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        // There are few certificates. A larger number is an attack on memory.
        if checked.len() > 1000 {
            checked.clear();
        }
        *checked.entry(text).or_insert_with(|| Certificate::check(certificate, owner).map(|c| c.writer()))
    }

    /// Returns the signing key of a writer.
    fn signer_of(&self, certificate: &Value) -> Option<(WriterId, VerifyingKey)> {
        let writer = self.writer(certificate)?;
        Some((writer, verifying_key(certificate.get("key")?.as_str()?)?))
    }
}

fn root(config: &Config, anchor: Anchor<'_>) -> Result<Root> {
    let missing = || Error::new(&codes::REPOSITORY_CORRUPT, "cloudron-backup.json names no key of the owner");
    if config.version == FIRST {
        return Ok(match anchor {
            Anchor::Identity(identity) => {
                let key = identity.first_signing_key().verifying_key();
                Root::First(vec![key], Some(identity.owner_key().verifying_key()))
            }
            _ => Root::First(config.first_keys(), None),
        });
    }
    Ok(Root::Owner(match anchor {
        Anchor::Identity(identity) => identity.owner_key().verifying_key(),
        Anchor::Writer(keys) => keys.owner_key()?,
        Anchor::Description => config.owner_key().ok_or_else(missing)?,
    }))
}
