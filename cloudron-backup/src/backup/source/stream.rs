//! Backs up one stream as one file.

use std::collections::VecDeque;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use cloudron_core::{Error, Result};
use sha2::{Digest, Sha256};

use super::{Feed, ReadAhead, of_reader};
use crate::backup::content::{extents, lengthen};
use crate::backup::entries::Writer;
use crate::chunk::cut::Cutter;
use crate::chunk::{ChunkId, hash_zeros};
use crate::codes;
use crate::files::sparse::Stretch;
use crate::format::manifest::{Entry, HeaderSource, Kind, MAX_FILE};

/// The folder of streams.
const FOLDER: &str = "/stdin";

/// One stream.
pub(crate) struct StreamFeed {
    name: String,
    reader: Box<dyn Read + Send>,
}

impl StreamFeed {
    pub(crate) fn new(name: &str, reader: impl Read + Send + 'static) -> Result<Self> {
        let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        if !plain || name.len() > 255 {
            return Err(Error::new(&codes::SOURCE_INVALID, format!("{name:?} is not a plain file name")));
        }
        Ok(Self { name: name.to_owned(), reader: Box::new(reader) })
    }

    fn path(&self) -> String {
        format!("{FOLDER}/{}", self.name)
    }
}

impl Feed for StreamFeed {
    fn sources(&self) -> Vec<HeaderSource> {
        vec![HeaderSource { name: self.name.clone(), path: PathBuf::from(self.path()), kind: Kind::File }]
    }

    fn give(self: Box<Self>, writer: &mut Writer<'_>) -> Result<()> {
        let path = self.path();
        let mut input = ReadAhead::new(self.reader)?;
        let mut content = Content::new(writer);
        loop {
            let block = input.next(usize::MAX, writer.stop)?.map_err(of_reader)?;
            if block.is_empty() {
                break;
            }
            content.add(block, writer)?;
        }
        if content.size == 0 {
            writer.warn(format!("{path} is empty: nothing came from the stream"));
        }
        let mut entry = Entry::new(Kind::File, path.as_bytes());
        entry.mode = 0o600;
        entry.uid = rustix::process::geteuid().as_raw();
        entry.gid = rustix::process::getegid().as_raw();
        entry.mtime = now();
        content.finish(&mut entry, writer)?;
        writer.put(entry, None, None)
    }
}

fn now() -> (i64, u32) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(now.as_secs()).unwrap_or(0), now.subsec_nanos())
}

fn keep(chunk: &[u8], chunks: &mut VecDeque<(ChunkId, u32)>, writer: &mut Writer<'_>) -> Result<()> {
    let length = u32::try_from(chunk.len()).expect("a chunk is shorter than 4 GiB");
    chunks.push_back((writer.store(chunk)?, length));
    Ok(())
}

/// The content of one file that is being stored.
pub(crate) struct Content {
    cutter: Cutter,
    hash: Sha256,
    chunks: VecDeque<(ChunkId, u32)>,
    stretches: Vec<Stretch>,
    pub(crate) size: u64,
}

impl Content {
    pub(crate) fn new(writer: &Writer<'_>) -> Self {
        Self {
            cutter: Cutter::new(writer.chunking),
            hash: Sha256::new(),
            chunks: VecDeque::new(),
            stretches: Vec::new(),
            size: 0,
        }
    }

    pub(crate) fn add(&mut self, block: &[u8], writer: &mut Writer<'_>) -> Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        self.hash.update(block);
        lengthen(&mut self.stretches, block.len() as u64);
        self.size += block.len() as u64;
        writer.task.advance(block.len() as u64);
        let chunks = &mut self.chunks;
        self.cutter.push(block, |chunk| keep(chunk, chunks, writer))
    }

    pub(crate) fn hole(&mut self, length: u64, writer: &Writer<'_>) -> Result<()> {
        // A tar can claim any length, and hashing takes long.
        if self.size.checked_add(length).is_none_or(|size| size > MAX_FILE) {
            return Err(Error::new(&codes::OLD_BACKUP_CORRUPT, "a file in the archive has more than 16 TiB"));
        }
        let mut left = length;
        while left > 0 {
            let part = left.min(64 << 20);
            hash_zeros(&mut self.hash, part, writer.stop)?;
            writer.task.advance(part);
            left -= part;
        }
        if length > 0 {
            self.stretches.push(Stretch::Hole(length));
            self.size += length;
        }
        Ok(())
    }

    /// Makes it the content of an entry.
    pub(crate) fn finish(mut self, entry: &mut Entry, writer: &mut Writer<'_>) -> Result<()> {
        let chunks = &mut self.chunks;
        self.cutter.finish(|chunk| keep(chunk, chunks, writer))?;
        entry.size = self.size;
        entry.sha256 = Some(ChunkId(self.hash.finalize().into()));
        entry.extents = extents(&self.stretches, self.chunks);
        Ok(())
    }
}
