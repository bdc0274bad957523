//! Condemned packs: packs that nothing needs any more, and that a later prune deletes.
//!
//! A record `condemned/<id>.age` is encoded like an index object, and signed by the owner. No writer relies
//! on a pack in a record, and such a pack is never used again: content that a backup still needs is copied.

use std::collections::HashSet;
use std::path::Path;
use std::time::SystemTime;

use cloudron_core::{Error, Result};

use crate::chunk::ChunkId;
use crate::encrypt::Decryptor;
use crate::format::index::{Index, Kind, PackEntry, Packs, Whose, fetch, is_about_the_object, object};
use crate::format::trust::Trust;
use crate::keys::WriterId;
use crate::runtime::Stop;
use crate::store::blocking::Blocking;
use crate::{codes, layout};

/// A record.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) key: String,
    /// Time of writing, by the store's clock.
    pub(crate) modified: Option<SystemTime>,
    pub(crate) entries: Vec<PackEntry>,
}

/// All records.
#[derive(Debug, Default)]
pub(crate) struct Condemned {
    pub(crate) records: Vec<Record>,
    /// The records that could not be used: key and reason. Their packs cannot be swept.
    pub(crate) unusable: Vec<(String, Error)>,
}

impl Condemned {
    /// Reads all records.
    pub(crate) fn load(
        store: &Blocking,
        (key, trust): (&dyn Decryptor, &Trust),
        cache: Option<&Path>,
        stop: &Stop,
    ) -> Result<Self> {
        let mut found = Self::default();
        for meta in store.list(layout::CONDEMNED)?.into_iter().filter(|o| layout::is_hash_age(&o.key)) {
            stop.check()?;
            let read = fetch(store, &meta, cache)
                .and_then(|content| object::decode(&content, key, trust, Kind::Condemned));
            match read {
                Ok(lines) => found.records.push(Record {
                    key: meta.key,
                    modified: meta.modified,
                    entries: lines.entries,
                }),
                // It was swept since it was listed, and its packs were deleted.
                Err(e) if e.is(&codes::OBJECT_MISSING) => {}
                Err(e) if is_about_the_object(&e) => found.unusable.push((meta.key, e)),
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    /// Returns the packs in all records.
    pub(crate) fn packs(&self) -> HashSet<ChunkId> {
        self.entries().map(|e| e.pack).collect()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &PackEntry> {
        self.records.iter().flat_map(|r| &r.entries)
    }
}

/// Lists the packs that a writer may rely on. The records are read before the packs are listed: a pack seen
/// here can only be deleted by a later record, and a prune that sweeps that record sees the writer's lock.
pub(crate) fn packs_to_rely_on(
    store: &Blocking,
    key: (&dyn Decryptor, &Trust),
    cache: Option<&Path>,
    stop: &Stop,
) -> Result<Packs> {
    let condemned = Condemned::load(store, key, cache, stop)?;
    let mut packs = Packs::list(store, false)?;
    condemned.packs().iter().for_each(|pack| packs.remove(pack));
    Ok(packs)
}

/// The maximum number of attempts to read an index that is changing.
const ATTEMPTS: u32 = 10;

/// Loads the index for reading: condemned packs follow the others, and missing ones come last. Locations from
/// the backup's writer follow directly after those from the owner.
pub(crate) fn index_for_reading(
    store: &Blocking,
    key: (&dyn Decryptor, &Trust),
    writer: Option<WriterId>,
    stop: &Stop,
) -> Result<Index> {
    let mut attempt = 1;
    loop {
        // A chunk can move from the index to a record and, by copying, back. The objects are read between two
        // identical listings of the index, so that no moving chunk is missed.
        let before = store.list(layout::INDEX)?.into_iter().map(|o| o.key);
        let before: Vec<String> = before.filter(|key| layout::is_hash_age(key)).collect();
        let condemned = Condemned::load(store, key, None, stop)?;
        let mut packs = Packs::list(store, true)?;
        packs.fallback = condemned.records.into_iter().flat_map(|r| r.entries).collect();
        let mut index = Index::load(store, key, None, &packs, Whose::All(writer), stop)?;
        let vanished = index.unusable.iter().any(|(_, e)| e.is(&codes::OBJECT_MISSING));
        if (before == index.objects && !vanished) || attempt >= ATTEMPTS {
            index.unusable.extend(condemned.unusable);
            return Ok(index);
        }
        attempt += 1;
    }
}
