//! The stored objects: packs, index objects, records of condemned packs.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use cloudron_core::Result;

use crate::chunk::ChunkId;
use crate::format::condemned::Condemned;
use crate::format::index::{Kind, Lines, PackEntry, fetch, is_about_the_object, object};
use crate::format::trust::Source;
use crate::layout;
use crate::snapshot::Owner;

/// A pack in the store's list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    pub(crate) modified: Option<SystemTime>,
}

/// An index object.
#[derive(Debug)]
pub(crate) struct IndexObject {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// The source of the lines.
    pub(crate) source: Source,
    pub(crate) entries: Vec<PackEntry>,
}

/// The stored objects.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) condemned: Condemned,
    pub(crate) packs: HashMap<ChunkId, Stored>,
    pub(crate) objects: Vec<IndexObject>,
    pub(crate) unusable: Vec<(String, cloudron_core::Error)>,
}

impl State {
    /// Returns the number of index objects in the store.
    pub(crate) fn index_objects(&self) -> u64 {
        (self.objects.len() + self.unusable.len()) as u64
    }

    /// Reads the store. The order matters: a listed pack without a record can only be deleted by a later
    /// record; a listed pack without an index line had none when it was listed.
    pub(crate) fn load(owner: &Owner<'_>) -> Result<Self> {
        let condemned = Condemned::load(owner.store, (&*owner.open, &owner.trust), None, owner.stop)?;
        Self::behind(owner, condemned)
    }

    /// Reads the rest of the state, given the records.
    pub(crate) fn behind(owner: &Owner<'_>, condemned: Condemned) -> Result<Self> {
        let mut state = Self { condemned, ..Self::default() };
        for object in owner.store.list(layout::PACKS)?.into_iter().filter(|o| layout::is_hash_age(&o.key)) {
            if let Some(pack) = pack_id(&object.key) {
                state.packs.insert(pack, Stored { size: object.size, modified: object.modified });
            }
        }
        for meta in owner.store.list(layout::INDEX)?.into_iter().filter(|o| layout::is_hash_age(&o.key)) {
            owner.stop.check()?;
            let read = fetch(owner.store, &meta, None)
                .and_then(|content| object::decode(&content, &*owner.open, &owner.trust, Kind::Index));
            match read {
                Ok(Lines { source, entries }) => {
                    state.objects.push(IndexObject { key: meta.key, size: meta.size, source, entries });
                }
                Err(e) if is_about_the_object(&e) => state.unusable.push((meta.key, e)),
                Err(e) => return Err(e),
            }
        }
        state.look_for_unlisted(owner)?;
        Ok(state)
    }

    /// Asks for packs in the index that are not in the list: they may be newer than the list, or the list may
    /// be outdated.
    fn look_for_unlisted(&mut self, owner: &Owner<'_>) -> Result<()> {
        let named = self.objects.iter().flat_map(|o| &o.entries).map(|e| e.pack);
        let unlisted: HashSet<ChunkId> = named.filter(|p| !self.packs.contains_key(p)).collect();
        for pack in unlisted {
            if let Some(object) = owner.store.head(&layout::pack(&pack))? {
                self.packs.insert(pack, Stored { size: object.size, modified: object.modified });
            }
        }
        Ok(())
    }

    /// Checks that the pack of a line exists with its size.
    pub(crate) fn is_there(&self, entry: &PackEntry) -> bool {
        self.packs.get(&entry.pack).is_some_and(|p| p.size == entry.size)
    }
}

/// Returns the id from the key of a pack.
pub(crate) fn pack_id(key: &str) -> Option<ChunkId> {
    let mut id = [0; 32];
    hex::decode_to_slice(layout::id_of(key)?, &mut id).ok()?;
    Some(ChunkId(id))
}
