//! What the owner of a repository works with: its store, its keys, and how to stop.

use std::ops::Deref;
use std::sync::Arc;

use cloudron_core::{Error, Result};

use super::{Reading, Session, namer};
use crate::chunk::{ChunkId, ChunkNamer};
use crate::encrypt::{Decryptor, Encryptor};
use crate::format::index::{Kind, PackEntry, Scope, object};
use crate::format::lock::{self, Holder, Lock};
use crate::format::pack;
use crate::format::pack_scan::chunks_in;
use crate::format::trust::Source;
use crate::keys::{Identity, Signer};
use crate::{codes, layout};

/// The owner of a repository, who changes it.
pub(crate) struct Owner<'a> {
    reading: Reading<'a>,
    /// Opens everything.
    pub(crate) open: Arc<dyn Decryptor>,
    /// Seals packs.
    pub(crate) data: Arc<dyn Encryptor>,
    /// Seals index objects and records of the condemned.
    pub(crate) index: Arc<dyn Encryptor>,
    pub(crate) namer: ChunkNamer,
    pub(crate) signer: Signer,
}

impl<'a> Deref for Owner<'a> {
    type Target = Reading<'a>;

    fn deref(&self) -> &Self::Target {
        &self.reading
    }
}

impl<'a> Owner<'a> {
    /// Checks that the identity is that of the repository, and reads whose word counts.
    ///
    /// # Errors
    /// As [`Reading::new`].
    pub(crate) fn new(session: Session<'a>, identity: &'a Identity) -> Result<Self> {
        let config = session.config;
        Ok(Self {
            reading: Reading::new(session, identity)?,
            open: config.owner_decryptor(identity)?,
            data: config.data_encryptor()?,
            index: config.index_encryptor()?,
            namer: namer(identity)?,
            signer: identity.owner_signer(),
        })
    }

    /// Puts the lock of a prune or a repair, of which one runs at a time. That they do is a courtesy, which
    /// saves work: nothing is lost when two run because one of them was asleep.
    pub(crate) fn lock(&self, what: &str) -> Result<Lock> {
        let lock = Lock::take(self.store, what, "", &self.signer)?;
        let now = lock.store_time()?;
        let others = lock::list(self.store, &self.trust)?.found.into_iter().filter(|l| l.key != lock.key());
        match others.into_iter().find(|l| l.holder == Holder::Owner && l.is_live(now)) {
            Some(other) => {
                let text = format!("a {} of {} is under way", other.name, self.store.url());
                Err(Error::new(&codes::PRUNE_BUSY, text).with_hint("wait for it to end, and try again"))
            }
            None => Ok(lock),
        }
    }

    /// Writes an index object, or a record of the condemned, of these packs. Lines of an index that are a writer's
    /// stay that writer's word.
    pub(crate) fn put_lines(&self, lines: &[PackEntry], kind: Kind, source: Source) -> Result<u64> {
        let of = match source {
            Source::Writer(writer) if kind == Kind::Index => Some(writer),
            _ => None,
        };
        let scope = Scope { kind, repository: &self.config.id, of };
        let object = object::encode(lines, scope, &self.signer, &*self.index)?;
        let id = layout::object_id(&object);
        let key = match kind {
            Kind::Index => layout::index(&id),
            Kind::Condemned => layout::condemned(&id),
        };
        self.store.put(&key, &object)?;
        Ok(object.len() as u64)
    }

    /// What is in a pack, by reading it.
    ///
    /// # Errors
    /// `object-corrupt`, `object-missing`; errors of the store.
    pub(crate) fn read_pack(&self, id: &ChunkId) -> Result<PackEntry> {
        let content = self.store.get_at_most(&layout::pack(id), pack::MOST)?;
        let plain = pack::open(&content, id, &*self.open)?;
        match chunks_in(&plain, &self.namer) {
            (chunks, true) => Ok(PackEntry { pack: *id, size: content.len() as u64, chunks }),
            _ => Err(Error::new(&codes::OBJECT_CORRUPT, "it holds what is no chunk")),
        }
    }
}
