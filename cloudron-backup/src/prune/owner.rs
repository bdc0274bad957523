//! What the owner of a repository works with: its store, its keys, and how to stop.

use std::sync::Arc;

use cloudron_core::{Error, Progress, Result};
use ed25519_dalek::SigningKey;

use crate::bridge::{Blocking, Stop};
use crate::chunk::ChunkNamer;
use crate::encrypt::{Decryptor, Encryptor};
use crate::keys::Identity;
use crate::lock::{self, Lock};
use crate::repository::config::Config;
use crate::{codes, layout};

/// The owner at work.
pub(crate) struct Owner<'a> {
    pub(crate) store: &'a Blocking,
    pub(crate) config: &'a Config,
    pub(crate) identity: &'a Identity,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Stop,
    /// Opens everything.
    pub(crate) open: Arc<dyn Decryptor>,
    /// Seals packs.
    pub(crate) data: Arc<dyn Encryptor>,
    /// Seals index objects and records of the condemned.
    pub(crate) index: Arc<dyn Encryptor>,
    pub(crate) namer: ChunkNamer,
    pub(crate) signing: SigningKey,
}

impl<'a> Owner<'a> {
    pub(crate) fn new(
        store: &'a Blocking,
        config: &'a Config,
        identity: &'a Identity,
        progress: &'a Progress,
        stop: &'a Stop,
    ) -> Result<Self> {
        config.check_identity(identity)?;
        Ok(Self {
            store,
            config,
            identity,
            progress,
            stop,
            open: config.owner_decryptor(identity)?,
            data: config.data_encryptor()?,
            index: config.index_encryptor()?,
            namer: crate::restore::namer(identity)?,
            signing: identity.writer_keys().signing_key()?,
        })
    }

    /// Puts the lock of a prune or a repair, of which one runs at a time. That they do is a courtesy, which
    /// saves work: nothing is lost when two run because one of them was asleep.
    pub(crate) fn lock(&self, what: &str) -> Result<Lock> {
        let name = format!("{what}-{}", hex::encode(cloudron_core::random::bytes::<8>()));
        let busy = |name: &str| {
            let text = format!("{name} of {} is under way", self.store.url());
            Error::new(&codes::PRUNE_BUSY, text).with_hint("wait for it to end, and try again")
        };
        let lock = Lock::take(self.store, &name, "")?.ok_or_else(|| busy(&name))?;
        let now = lock.store_time()?;
        let others = lock::list(self.store)?.into_iter().filter(|l| l.key != lock.key());
        match others.into_iter().find(|l| is_owners(&l.name) && l.is_live(now)) {
            Some(other) => Err(busy(&other.name)),
            None => Ok(lock),
        }
    }

    /// Writes an index object, or a record of the condemned, of these packs.
    pub(crate) fn put_lines(&self, lines: &[crate::index::PackEntry], condemned: bool) -> Result<u64> {
        let object = crate::index::encode(lines, &*self.index)?;
        let id = layout::object_id(&object);
        let key = if condemned { layout::condemned(&id) } else { layout::index(&id) };
        self.store.put(&key, &object)?;
        Ok(object.len() as u64)
    }
}

/// Whether a lock is that of a prune or a repair.
pub(crate) fn is_owners(name: &str) -> bool {
    name.starts_with("prune-") || name.starts_with("repair-")
}

/// The error that stops a prune which could lose something.
pub(crate) fn unsafe_because(object: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(&codes::PRUNE_UNSAFE, format!("{object}: {why}"))
        .with_hint("nothing was deleted; `backup verify` says more")
}
