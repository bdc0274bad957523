//! Packs: about 16 MiB of chunks in one object.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cloudron_core::{Error, Result};
use sha2::{Digest, Sha256};

use crate::chunk::frame::{MAX_CHUNK, raw_frame, unframe};
use crate::chunk::{ChunkId, ChunkNamer};
use crate::encrypt::{Decryptor, Encryptor, SealingWriter};
use crate::format::index::{Index, Location, PackEntry, PackedChunk};
use crate::store::blocking::Blocking;
use crate::{codes, layout};

/// The plaintext length, in bytes, at which a pack is closed.
pub(crate) const TARGET: u32 = 16 << 20;

/// The maximum size of a sealed pack, in bytes.
pub(crate) const MOST: u64 = crate::layout::MOST_PACK;

/// The maximum expected size of a sealed pack, in bytes: its last chunk may exceed the target.
pub(crate) const CAPACITY: usize = (TARGET + MAX_CHUNK / 4 + (1 << 20)) as usize;

/// The output of the sealing writer, shared so that the buffer can be taken out afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, content: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(content);
        Ok(content.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A pack being written. Frames are encrypted as they come, so that only one copy of it is in memory.
pub(crate) struct PackWriter {
    sealed: Shared,
    writer: Box<dyn SealingWriter>,
    chunks: Vec<PackedChunk>,
    length: u32,
}

impl PackWriter {
    #[allow(dead_code, reason = "a repack, which has no buffers to reuse")]
    pub(crate) fn new(key: &dyn Encryptor) -> Result<Self> {
        Self::in_buffer(key, Vec::with_capacity(CAPACITY))
    }

    /// Creates a pack in an empty buffer.
    pub(crate) fn in_buffer(key: &dyn Encryptor, buffer: Vec<u8>) -> Result<Self> {
        let sealed = Shared(Arc::new(Mutex::new(buffer)));
        let writer = key.seal(Box::new(sealed.clone()))?;
        Ok(Self { sealed, writer, chunks: Vec::new(), length: 0 })
    }

    pub(crate) fn add(&mut self, id: ChunkId, frame: &[u8], raw: u32) -> Result<()> {
        self.writer.write_all(frame).map_err(|e| Error::io("(memory)", e))?;
        self.added(id, frame.len(), raw);
        Ok(())
    }

    /// Adds a chunk without compression.
    pub(crate) fn add_raw(&mut self, id: ChunkId, content: &[u8]) -> Result<()> {
        let mut length = 0;
        let written = raw_frame(content, |part| {
            length += part.len();
            self.writer.write_all(part)
        });
        written.map_err(|e| Error::io("(memory)", e))?;
        self.added(id, length, u32::try_from(content.len()).expect("a chunk is shorter than 4 GiB"));
        Ok(())
    }

    fn added(&mut self, id: ChunkId, length: usize, raw: u32) {
        let length = u32::try_from(length).expect("a frame is shorter than 4 GiB");
        self.chunks.push(PackedChunk { id, offset: self.length, length, raw });
        self.length += length;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.length >= TARGET
    }

    /// Returns the object and its line for the index.
    #[allow(dead_code, reason = "a repack, which has no buffers to reuse")]
    pub(crate) fn finish(self) -> Result<(Bytes, PackEntry)> {
        self.seal().map(|(sealed, entry)| (sealed.into(), entry))
    }

    /// Returns the buffer with the object, and its line for the index.
    pub(crate) fn seal(self) -> Result<(Vec<u8>, PackEntry)> {
        self.writer.finish().map_err(|e| Error::io("(memory)", e))?;
        let sealed = std::mem::take(&mut *self.sealed.0.lock().unwrap_or_else(PoisonError::into_inner));
        let pack = ChunkId(Sha256::digest(&sealed).into());
        let size = sealed.len() as u64;
        Ok((sealed, PackEntry { pack, size, chunks: self.chunks }))
    }
}

/// Opens a pack object after checking that its hash matches its name.
pub(crate) fn open(content: &[u8], id: &ChunkId, key: &dyn Decryptor) -> Result<Vec<u8>> {
    check(content, id)?;
    open_checked(content, key)
}

/// Opens a pack object whose hash was checked before.
pub(crate) fn open_checked(content: &[u8], key: &dyn Decryptor) -> Result<Vec<u8>> {
    key.open_bytes(content)
}

/// Checks that an object's hash matches its name.
pub(crate) fn check(content: &[u8], id: &ChunkId) -> Result<()> {
    if Sha256::digest(content)[..] == id.0 {
        return Ok(());
    }
    let text = format!("{} does not have the hash that it is named by", layout::pack(id));
    Err(Error::new(&codes::OBJECT_CORRUPT, text))
}

/// A small cache of the last items used, newest last.
struct Recent<K, V> {
    items: Vec<(K, Arc<V>)>,
    capacity: usize,
}

impl<K: PartialEq, V> Recent<K, V> {
    fn get(&mut self, key: &K) -> Option<Arc<V>> {
        let at = self.items.iter().position(|(k, _)| k == key)?;
        let item = self.items.remove(at);
        let value = item.1.clone();
        self.items.push(item);
        Some(value)
    }

    /// Drops the oldest item, so that there is memory for another one.
    fn make_room(&mut self) {
        if self.items.len() >= self.capacity {
            self.items.remove(0);
        }
    }

    fn put(&mut self, key: K, value: Arc<V>) {
        self.make_room();
        self.items.push((key, value));
    }
}

/// Reads chunks by their id, checked. Usable by several threads.
pub(crate) struct ChunkReader<'a> {
    store: &'a Blocking,
    index: &'a Index,
    key: &'a dyn Decryptor,
    namer: ChunkNamer,
    packs: Mutex<Recent<u32, Result<Vec<u8>>>>,
    chunks: Mutex<Recent<ChunkId, Vec<u8>>>,
}

impl<'a> ChunkReader<'a> {
    pub(crate) fn new(
        store: &'a Blocking,
        index: &'a Index,
        key: &'a dyn Decryptor,
        namer: ChunkNamer,
    ) -> Self {
        Self {
            store,
            index,
            key,
            namer,
            packs: Mutex::new(Recent { items: Vec::new(), capacity: 2 }),
            chunks: Mutex::new(Recent { items: Vec::new(), capacity: 4 }),
        }
    }

    /// Returns the content of a chunk.
    ///
    /// # Errors
    /// `object-missing` or `object-corrupt`, naming the pack; errors of the store.
    pub(crate) fn chunk(&self, id: &ChunkId) -> Result<Arc<Vec<u8>>> {
        if let Some(chunk) = self.chunks.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(chunk);
        }
        let mut error = None;
        for location in self.index.places(id) {
            match self.at(id, &location) {
                Ok(content) => {
                    let content = Arc::new(content);
                    self.chunks.lock().unwrap_or_else(PoisonError::into_inner).put(*id, content.clone());
                    return Ok(content);
                }
                Err(e) if e.is(&codes::OBJECT_CORRUPT) || e.is(&codes::OBJECT_MISSING) => {
                    error.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        let unknown = format!("chunk {id:?} is in no pack that the index knows");
        Err(error.unwrap_or_else(|| Error::new(&codes::OBJECT_MISSING, unknown)))
    }

    /// Returns the content of a chunk at one of its locations.
    fn at(&self, id: &ChunkId, location: &Location) -> Result<Vec<u8>> {
        let pack = self.pack(location.pack)?;
        let pack = pack.as_ref().as_ref().map_err(same)?;
        let end = location.offset.saturating_add(location.length) as usize;
        let damaged = |what: &str| {
            let name = layout::pack(&self.index.packs[location.pack as usize].0);
            Error::new(&codes::OBJECT_CORRUPT, format!("chunk {id:?} in {name} {what}"))
        };
        let frame = pack.get(location.offset as usize..end).ok_or_else(|| damaged("lies behind its end"))?;
        let content = unframe(frame, location.raw).map_err(|e| damaged(&format!("is damaged: {e}")))?;
        if self.namer.name(&content) != *id {
            return Err(damaged("has another hash than its name"));
        }
        Ok(content)
    }

    /// Returns the plaintext of a pack. Failures are cached too, so that a damaged pack is fetched only once.
    fn pack(&self, pack: u32) -> Result<Arc<Result<Vec<u8>>>> {
        // The lock is held while fetching: several threads usually want the same pack.
        let mut packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pack) = packs.get(&pack) {
            return Ok(pack);
        }
        packs.make_room();
        let id = &self.index.packs[pack as usize].0;
        let opened = self.store.get_at_most(&layout::pack(id), MOST).and_then(|c| open(&c, id, self.key));
        let passing = opened.as_ref().err().is_some_and(|e| e.is_retryable());
        let opened = Arc::new(opened);
        if !passing {
            packs.put(pack, opened.clone());
        }
        Ok(opened)
    }
}

/// Returns a copy of the error, for each caller that meets it.
pub(crate) fn same(error: &Error) -> Error {
    Error::new(error.code(), error.to_string())
}
