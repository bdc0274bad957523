//! Moves chunks from packs to new ones.

use std::collections::{HashMap, HashSet};

use cloudron_core::{Error, Result};

use crate::chunk::ChunkId;
use crate::format::index::{Kind, PackEntry, PackedChunk};
use crate::format::pack::{self, PackWriter};
use crate::format::pack_scan::chunks_in;
use crate::format::trust::Source;
use crate::snapshot::Owner;
use crate::{codes, layout};

/// Writes packs, and collects their lines for the index.
pub(crate) struct Rewriter<'a> {
    owner: &'a Owner<'a>,
    open: Option<PackWriter>,
    lines: Vec<PackEntry>,
    bytes: u64,
}

/// The packs written.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    /// The lines of the new packs, which are not in any index yet.
    pub(crate) lines: Vec<PackEntry>,
    pub(crate) bytes: u64,
}

impl<'a> Rewriter<'a> {
    pub(crate) fn new(owner: &'a Owner<'a>) -> Self {
        Self { owner, open: None, lines: Vec::new(), bytes: 0 }
    }

    /// Copies these chunks of a pack, all or none. Reads the pack to find their locations.
    ///
    /// # Errors
    /// `object-corrupt`, `object-missing` when they cannot be read; errors of the store.
    pub(crate) fn copy(&mut self, id: &ChunkId, chunks: &HashSet<ChunkId>) -> Result<()> {
        self.owner.stop.check()?;
        let key = layout::pack(id);
        let content = self.owner.store.get_at_most(&key, pack::MOST)?;
        let plain = pack::open(&content, id, &*self.owner.open)?;
        drop(content);
        let (found, _) = chunks_in(&plain, &self.owner.namer);
        let mut wanted: HashMap<ChunkId, PackedChunk> = HashMap::new();
        for chunk in found.into_iter().filter(|c| chunks.contains(&c.id)) {
            wanted.entry(chunk.id).or_insert(chunk);
        }
        if let Some(lacking) = chunks.iter().find(|c| !wanted.contains_key(*c)) {
            let text = format!("{key}: chunk {lacking:?} is not in it, or has another hash than its name");
            return Err(Error::new(&codes::OBJECT_CORRUPT, text));
        }
        let mut wanted: Vec<PackedChunk> = wanted.into_values().collect();
        wanted.sort_by_key(|c| c.offset);
        for PackedChunk { id, offset, length, raw } in wanted {
            self.add(id, &plain[offset as usize..(offset + length) as usize], raw)?;
        }
        Ok(())
    }

    /// Adds a frame that was checked before.
    pub(crate) fn add(&mut self, id: ChunkId, frame: &[u8], raw: u32) -> Result<()> {
        let mut pack = match self.open.take() {
            Some(pack) => pack,
            None => PackWriter::new(&*self.owner.data)?,
        };
        pack.add(id, frame, raw)?;
        if pack.is_full() {
            return self.put(pack);
        }
        self.open = Some(pack);
        Ok(())
    }

    fn put(&mut self, pack: PackWriter) -> Result<()> {
        let (content, line) = pack.finish()?;
        self.owner.store.put(&layout::pack(&line.pack), &content)?;
        self.bytes += content.len() as u64;
        self.lines.push(line);
        Ok(())
    }

    /// Writes the remaining chunks.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |pack| self.put(pack))
    }

    /// Returns the packs in the store.
    pub(crate) fn written(self) -> Rewritten {
        Rewritten { lines: self.lines, bytes: self.bytes }
    }

    /// Writes the remaining chunks, and returns all packs written.
    pub(crate) fn finish(mut self) -> Result<Rewritten> {
        self.close()?;
        Ok(self.written())
    }
}

/// The maximum number of chunks in an index object, about 15 MB.
const CHUNKS_PER_OBJECT: usize = 300_000;

/// The objects written for lines.
#[derive(Debug, Default)]
pub(crate) struct PutLines {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

/// Writes index objects, or records of condemned packs, with these lines.
pub(crate) fn put_lines(
    owner: &Owner<'_>,
    lines: &[PackEntry],
    kind: Kind,
    source: Source,
) -> Result<PutLines> {
    let (mut put, mut from, mut chunks) = (PutLines::default(), 0, 0);
    for at in 0..lines.len() {
        chunks += lines[at].chunks.len();
        if chunks >= CHUNKS_PER_OBJECT || at + 1 == lines.len() {
            put.bytes += owner.put_lines(&lines[from..=at], kind, source)?;
            put.objects += 1;
            (from, chunks) = (at + 1, 0);
        }
    }
    Ok(put)
}

/// Checks whether an object cannot be read at present: it is damaged, missing or archived.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    is_damage(error) || error.is(&codes::OBJECT_ARCHIVED)
}

/// Checks whether an error means that an object is damaged or missing, rather than that the store cannot be reached.
pub(crate) fn is_damage(error: &Error) -> bool {
    error.is(&codes::OBJECT_CORRUPT) || error.is(&codes::OBJECT_MISSING)
}
