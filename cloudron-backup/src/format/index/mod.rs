//! The index: the location of each chunk in the packs.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use cloudron_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::chunk::ChunkId;
use crate::encrypt::Decryptor;
use crate::format::trust::{Source, Trust};
use crate::keys::WriterId;
use crate::runtime::Stop;
use crate::store::ObjectMeta;
use crate::store::blocking::Blocking;
use crate::{codes, layout};

pub(crate) mod object;
pub(crate) use object::{Kind, Lines, Scope};

/// A chunk inside of a pack. It is stored as an array of its four fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(ChunkId, u32, u32, u32)", into = "(ChunkId, u32, u32, u32)")]
pub(crate) struct PackedChunk {
    pub(crate) id: ChunkId,
    /// The offset of its frame in the pack's plaintext.
    pub(crate) offset: u32,
    /// The length of the frame.
    pub(crate) length: u32,
    /// The length of the chunk.
    pub(crate) raw: u32,
}

impl From<(ChunkId, u32, u32, u32)> for PackedChunk {
    fn from((id, offset, length, raw): (ChunkId, u32, u32, u32)) -> Self {
        Self { id, offset, length, raw }
    }
}

impl From<PackedChunk> for (ChunkId, u32, u32, u32) {
    fn from(chunk: PackedChunk) -> Self {
        (chunk.id, chunk.offset, chunk.length, chunk.raw)
    }
}

/// A line of an index object: a pack and its chunks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PackEntry {
    /// The pack's id.
    pub(crate) pack: ChunkId,
    /// The size of the pack's object in bytes.
    pub(crate) size: u64,
    /// Its chunks.
    pub(crate) chunks: Vec<PackedChunk>,
}

/// The location of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location {
    pub(crate) pack: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) raw: u32,
}

/// The packs in the store.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    sizes: HashMap<String, u64>,
    /// The keys of archived packs.
    archived: HashSet<String>,
    keep_lost: bool,
    /// Lines of condemned packs, used for chunks that are in no other pack.
    pub(crate) fallback: Vec<PackEntry>,
}

impl Packs {
    /// Lists the packs. With `keep_lost`, chunks of missing packs stay in the index, so that an error can
    /// name the pack; without it they count as unknown, and a writer stores them again.
    pub(crate) fn list(store: &Blocking, keep_lost: bool) -> Result<Self> {
        let named = |o: crate::store::ObjectMeta| Some((layout::id_of(&o.key)?.to_owned(), o.size));
        let listed = store.list(layout::PACKS)?;
        let archived = listed.iter().filter(|o| o.archived).map(|o| o.key.clone()).collect();
        let sizes = listed.into_iter().filter_map(named).collect();
        Ok(Self { sizes, archived, keep_lost, fallback: Vec::new() })
    }

    /// Removes a pack, as if it did not exist.
    pub(crate) fn remove(&mut self, pack: &ChunkId) {
        self.sizes.remove(&hex::encode(pack.0));
    }

    /// Checks that a pack exists with the expected size.
    pub(crate) fn has(&self, entry: &PackEntry) -> bool {
        self.size(&entry.pack) == Some(entry.size)
    }

    pub(crate) fn size(&self, pack: &ChunkId) -> Option<u64> {
        self.sizes.get(&hex::encode(pack.0)).copied()
    }
}

/// The union of all index objects.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The packs: id and size of the object.
    pub(crate) packs: Vec<(ChunkId, u64)>,
    /// The preferred location of each chunk.
    chunks: HashMap<ChunkId, Location>,
    /// The other locations, in the order in which they are tried.
    others: HashMap<ChunkId, Vec<Location>>,
    /// The keys of archived packs.
    pub(crate) archived: HashSet<String>,
    /// The objects that could not be used: key and reason.
    pub(crate) unusable: Vec<(String, Error)>,
    /// The keys of the listed objects.
    pub(crate) objects: Vec<String>,
}

impl Index {
    pub(crate) fn get(&self, id: &ChunkId) -> Option<Location> {
        self.chunks.get(id).copied()
    }

    pub(crate) fn contains(&self, id: &ChunkId) -> bool {
        self.chunks.contains_key(id)
    }

    /// Returns all locations of all chunks.
    pub(crate) fn all_places(&self) -> impl Iterator<Item = (&ChunkId, &Location)> {
        let others = self.others.iter().flat_map(|(id, places)| places.iter().map(move |at| (id, at)));
        self.chunks.iter().chain(others)
    }

    /// Returns all locations of a chunk, in the order in which they are tried.
    pub(crate) fn places(&self, id: &ChunkId) -> impl Iterator<Item = Location> {
        self.chunks.get(id).into_iter().chain(self.others.get(id).into_iter().flatten()).copied()
    }

    /// Adds a line. If a chunk is in several packs, the first one added is tried first.
    pub(crate) fn add(&mut self, entry: &PackEntry) {
        let Ok(pack) = u32::try_from(self.packs.len()) else { return };
        self.packs.push((entry.pack, entry.size));
        for PackedChunk { id, offset, length, raw } in &entry.chunks {
            let location = Location { pack, offset: *offset, length: *length, raw: *raw };
            match self.chunks.entry(*id) {
                Entry::Vacant(first) => drop(first.insert(location)),
                Entry::Occupied(first) => {
                    let (known, _) = self.packs[first.get().pack as usize];
                    if known != entry.pack || first.get().offset != *offset {
                        self.others.entry(*id).or_default().push(location);
                    }
                }
            }
        }
    }

    /// Reads every index object of the store. Locations in existing packs come first, and among these the
    /// ones signed by the owner or else by the preferred writer.
    ///
    /// # Errors
    /// Errors of the store. Unusable objects are listed in [`unusable`](Self::unusable).
    pub(crate) fn load(
        store: &Blocking,
        (key, trust): (&dyn Decryptor, &Trust),
        cache: Option<&Path>,
        packs: &Packs,
        whose: Whose,
        stop: &Stop,
    ) -> Result<Self> {
        let mut index = Self { archived: packs.archived.clone(), ..Self::default() };
        let (mut there, mut lost) = (Vec::new(), Vec::new());
        let mut objects = store.list(layout::INDEX)?;
        objects.retain(|o| layout::is_hash_age(&o.key));
        if let Some(dir) = cache {
            forget(dir, &objects);
        }
        for object in objects {
            stop.check()?;
            index.objects.push(object.key.clone());
            let read = fetch(store, &object, cache)
                .and_then(|content| object::decode(&content, key, trust, Kind::Index));
            match read {
                Ok(lines) => {
                    let Some(rank) = whose.rank(lines.source) else { continue };
                    let (found, gone): (Vec<_>, Vec<_>) =
                        lines.entries.into_iter().partition(|e| packs.has(e));
                    there.push((rank, found));
                    lost.extend(gone);
                }
                Err(e) if is_about_the_object(&e) => index.unusable.push((object.key, e)),
                Err(e) => return Err(e),
            }
        }
        there.sort_by_key(|(rank, _)| *rank);
        there.iter().flat_map(|(_, lines)| lines).for_each(|e| index.add(e));
        packs.fallback.iter().filter(|e| packs.has(e)).for_each(|e| index.add(e));
        // A chunk stored again after its pack was lost is read from the new pack.
        if packs.keep_lost {
            lost.iter().for_each(|e| index.add(e));
        }
        Ok(index)
    }
}

/// The authors whose lines are used, and their order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose {
    /// The owner and this writer: all that the writer relies on.
    Mine(WriterId),
    /// All authors: the owner first, then this writer.
    All(Option<WriterId>),
}

impl Whose {
    fn rank(self, source: Source) -> Option<u8> {
        match (self, source) {
            (_, Source::Owner) => Some(0),
            (Self::Mine(writer) | Self::All(Some(writer)), Source::Writer(found)) if writer == found => {
                Some(1)
            }
            (Self::Mine(_), _) => None,
            (Self::All(_), _) => Some(2),
        }
    }
}

/// Checks whether an error means that an object cannot be used, rather than that the store cannot be reached.
pub(crate) fn is_about_the_object(error: &Error) -> bool {
    [&codes::OBJECT_CORRUPT, &codes::OBJECT_MISSING, &codes::OBJECT_FOREIGN].iter().any(|code| error.is(code))
}

/// Removes index objects from the local cache that are no longer in the store.
fn forget(cache: &Path, objects: &[ObjectMeta]) {
    let Ok(cached) = std::fs::read_dir(cache.join("index")) else { return };
    let there: HashSet<&str> = objects.iter().filter_map(|o| layout::id_of(&o.key)).collect();
    for file in cached.flatten() {
        let name = file.file_name();
        // Others are temporary files of runs that may be active.
        if name.to_str().is_some_and(|n| n.len() == 64 && !there.contains(n)) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Returns an index object from the local cache or the store, after checking its hash against its name.
///
/// # Errors
/// `object-corrupt` for an object that is too large or has another hash; errors of the store.
pub(crate) fn fetch(store: &Blocking, object: &ObjectMeta, cache: Option<&Path>) -> Result<Bytes> {
    let key = &object.key;
    if object.size > layout::MOST_INDEX {
        return Err(Error::new(&codes::OBJECT_CORRUPT, format!("{key} is larger than any index object")));
    }
    let id = layout::id_of(key).unwrap_or_default();
    let cached = cache.map(|dir| dir.join("index").join(id));
    if let Some(file) = &cached
        && let Ok(content) = std::fs::read(file)
        && layout::object_id(&content) == id
    {
        return Ok(content.into());
    }
    let content = store.get_at_most(key, layout::MOST_INDEX)?;
    if layout::object_id(&content) != id {
        return Err(Error::new(
            &codes::OBJECT_CORRUPT,
            format!("{key} does not have the hash that it is named by"),
        ));
    }
    if let Some(file) = &cached {
        // Only speed depends on it.
        let _ = crate::files::private_write(file, &content);
    }
    Ok(content)
}
