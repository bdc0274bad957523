//! The index: which chunk is in which pack, and where.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use bytes::Bytes;
use cloudron_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::bridge::{Blocking, Stop};
use crate::chunk::ChunkId;
use crate::chunk::frame::MAX_CHUNK;
use crate::codes;
use crate::encrypt::{Decryptor, Encryptor};
use crate::layout;
use crate::store::ObjectMeta;

/// An index unpacks to so many times its size at most: two thirds of it are ids, which do not compress.
const MOST_UNPACKED: usize = 16;

/// A chunk inside of a pack: its id, the offset of its frame in the pack's plaintext, the length of the
/// frame, and the length of the chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PackedChunk(pub(crate) ChunkId, pub(crate) u32, pub(crate) u32, pub(crate) u32);

/// A line of an index object: a pack and what is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PackEntry {
    /// The pack's id.
    pub(crate) pack: ChunkId,
    /// The size of the pack's object.
    pub(crate) size: u64,
    /// Its chunks.
    pub(crate) chunks: Vec<PackedChunk>,
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location {
    pub(crate) pack: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) raw: u32,
}

/// The packs that are in the store.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    sizes: HashMap<String, u64>,
    /// The keys of those that are in an archive.
    archived: HashSet<String>,
    keep_lost: bool,
    /// Lines of packs that are condemned. What is nowhere else is read from these.
    pub(crate) fallback: Vec<PackEntry>,
}

impl Packs {
    /// Lists the packs. With `keep_lost`, chunks whose pack is gone stay in the index, so that an error can
    /// name the pack; without it they count as unknown, and a writer stores them again.
    pub(crate) fn list(store: &Blocking, keep_lost: bool) -> Result<Self> {
        let named = |o: crate::store::ObjectMeta| Some((layout::id_of(&o.key)?.to_owned(), o.size));
        let listed = store.list(layout::PACKS)?;
        let archived = listed.iter().filter(|o| o.archived).map(|o| o.key.clone()).collect();
        let sizes = listed.into_iter().filter_map(named).collect();
        Ok(Self { sizes, archived, keep_lost, fallback: Vec::new() })
    }

    /// Takes a pack out, as if it were not there.
    pub(crate) fn remove(&mut self, pack: &ChunkId) {
        self.sizes.remove(&hex::encode(pack.0));
    }

    /// Whether a pack is there with the size that it must have.
    pub(crate) fn has(&self, entry: &PackEntry) -> bool {
        self.size(&entry.pack) == Some(entry.size)
    }

    pub(crate) fn size(&self, pack: &ChunkId) -> Option<u64> {
        self.sizes.get(&hex::encode(pack.0)).copied()
    }
}

/// All index objects together.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The packs: id and size of the object.
    pub(crate) packs: Vec<(ChunkId, u64)>,
    chunks: HashMap<ChunkId, Location>,
    /// The keys of packs that are in an archive.
    pub(crate) archived: HashSet<String>,
    /// The objects that could not be used: key and reason.
    pub(crate) unusable: Vec<(String, Error)>,
    /// The keys of the objects that were listed.
    pub(crate) objects: Vec<String>,
}

impl Index {
    pub(crate) fn get(&self, id: &ChunkId) -> Option<Location> {
        self.chunks.get(id).copied()
    }

    pub(crate) fn contains(&self, id: &ChunkId) -> bool {
        self.chunks.contains_key(id)
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = (&ChunkId, &Location)> {
        self.chunks.iter()
    }

    /// Takes in a line. Of a chunk that is in several packs, the first one counts.
    pub(crate) fn add(&mut self, entry: &PackEntry) {
        let Ok(pack) = u32::try_from(self.packs.len()) else { return };
        self.packs.push((entry.pack, entry.size));
        for PackedChunk(id, offset, length, raw) in &entry.chunks {
            let location = Location { pack, offset: *offset, length: *length, raw: *raw };
            self.chunks.entry(*id).or_insert(location);
        }
    }

    /// Reads every index object of the store. Of a chunk that is in several packs, one that is there counts.
    ///
    /// # Errors
    /// What the store reports. A damaged object is noted in [`unusable`](Self::unusable).
    pub(crate) fn load(
        store: &Blocking,
        key: &dyn Decryptor,
        cache: Option<&Path>,
        packs: &Packs,
        stop: &Stop,
    ) -> Result<Self> {
        let mut index = Self { archived: packs.archived.clone(), ..Self::default() };
        let mut lost = Vec::new();
        let objects = store.list(layout::INDEX)?;
        if let Some(dir) = cache {
            forget(dir, &objects);
        }
        for object in objects {
            stop.check()?;
            index.objects.push(object.key.clone());
            let content = match fetch(store, &object.key, cache) {
                Ok(content) => content,
                Err(e) if e.is(&codes::OBJECT_CORRUPT) || e.is(&codes::OBJECT_MISSING) => {
                    index.unusable.push((object.key, e));
                    continue;
                }
                Err(e) => return Err(e),
            };
            match decode(&content, key) {
                Ok(entries) => {
                    let (there, gone): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| packs.has(e));
                    there.iter().for_each(|e| index.add(e));
                    lost.extend(gone);
                }
                Err(e) => index.unusable.push((object.key, e)),
            }
        }
        packs.fallback.iter().filter(|e| packs.has(e)).for_each(|e| index.add(e));
        // A chunk that was stored again after its pack got lost is read from the new one.
        if packs.keep_lost {
            lost.iter().for_each(|e| index.add(e));
        }
        Ok(index)
    }
}

/// Removes what the local cache has of index objects that are not in the store any more.
fn forget(cache: &Path, objects: &[ObjectMeta]) {
    let Ok(cached) = std::fs::read_dir(cache.join("index")) else { return };
    let there: HashSet<&str> = objects.iter().filter_map(|o| layout::id_of(&o.key)).collect();
    for file in cached.flatten() {
        let name = file.file_name();
        // Others are temporary files, of runs that may be under way.
        if name.to_str().is_some_and(|n| n.len() == 64 && !there.contains(n)) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// An index object, from the local cache or the store, with its hash checked against its name.
pub(crate) fn fetch(store: &Blocking, key: &str, cache: Option<&Path>) -> Result<Bytes> {
    let id = layout::id_of(key).unwrap_or_default();
    let cached = cache.map(|dir| dir.join("index").join(id));
    if let Some(file) = &cached
        && let Ok(content) = std::fs::read(file)
        && layout::object_id(&content) == id
    {
        return Ok(content.into());
    }
    let content = store.get(key)?;
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

/// The lines of an index object. Anybody can seal one to the keys of a repository: it may not unpack to much
/// more than it takes in the store.
pub(crate) fn decode(content: &[u8], key: &dyn Decryptor) -> Result<Vec<PackEntry>> {
    let corrupt = |text: String| Error::new(&codes::OBJECT_CORRUPT, text);
    let reader = zstd::stream::read::Decoder::new(key.open(Box::new(content))?)
        .map_err(|e| corrupt(format!("the index does not decompress: {e}")))?;
    let mut left = content.len().saturating_mul(MOST_UNPACKED).saturating_add(1 << 20);
    let mut reader = BufReader::new(reader.take(left as u64 + 1));
    let (mut entries, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line);
        let length = length.map_err(|e| corrupt(format!("the index is cut or changed: {e}")))?;
        if length == 0 {
            return Ok(entries);
        }
        left = left.checked_sub(length).ok_or_else(|| corrupt("the index unpacks to too much".to_owned()))?;
        let entry: PackEntry = serde_json::from_slice(&line)
            .map_err(|e| corrupt(format!("a line of the index is damaged: {e}")))?;
        if entry.chunks.iter().any(|c| c.3 > MAX_CHUNK) {
            return Err(corrupt("the index names a chunk longer than any that is written".to_owned()));
        }
        entries.push(entry);
    }
}

/// An index object of these lines.
pub(crate) fn encode(entries: &[PackEntry], key: &dyn Encryptor) -> Result<Bytes> {
    let failed = |e: std::io::Error| Error::io("(memory)", e);
    let mut lines = zstd::stream::write::Encoder::new(Vec::new(), 3).map_err(failed)?;
    for entry in entries {
        serde_json::to_writer(&mut lines, entry).map_err(|e| failed(e.into()))?;
        lines.write_all(b"\n").map_err(failed)?;
    }
    Ok(key.seal_bytes(&lines.finish().map_err(failed)?)?.into())
}
