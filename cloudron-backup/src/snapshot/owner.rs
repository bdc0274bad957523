//! The context of operations by the owner of a repository.

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

/// The owner of a repository, with write access.
pub(crate) struct Owner<'a> {
    reading: Reading<'a>,
    /// Decrypts all objects.
    pub(crate) open: Arc<dyn Decryptor>,
    /// Encrypts packs.
    pub(crate) data: Arc<dyn Encryptor>,
    /// Encrypts index objects and records of condemned packs.
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
    /// Checks that the identity belongs to the repository, and reads the revocations.
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

    /// Writes the lock of a prune or a repair, of which one runs at a time. The lock only avoids duplicate
    /// work: nothing is lost if two run because one of them was suspended.
    pub(crate) fn lock(&self, what: &str) -> Result<Lock> {
        let lock = Lock::take(self.store, what, "", &self.signer)?;
        // Tombstones rely on conditional writes.
        self.store.check_conditional(lock.key())?;
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

    /// Writes an index object, or a record of condemned packs, with these lines. Index lines from a writer
    /// stay claims of that writer.
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

    /// Reads a pack and returns its chunks.
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
