//! Reads one file whole, or into chunks.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};

use cloudron_core::Result;
use rustix::fs::{FileType, fstat};
use sha2::{Digest, Sha256};

use super::entries::Writer;
use super::in_place::{Before, Changed, Hashes};
use crate::chunk::cut::Cutter;
use crate::chunk::{ChunkId, hash_zeros};
use crate::files::meta::Meta;
use crate::files::sparse::{MIN_HOLE, SparseReader, Step, Stretch};
use crate::format::manifest::{Extent, MAX_EXTENTS, MAX_FILE};

/// The number of attempts to read a file that changes meanwhile; a large one is read less often.
const ATTEMPTS: u32 = 3;
const LARGE: u64 = 256 << 20;

/// The content of a file after reading.
pub(super) enum Stored {
    /// Small content, kept in memory.
    Small { content: Vec<u8>, sha256: ChunkId },
    /// Large content, on its way to the store.
    Large { size: u64, sha256: ChunkId, extents: Vec<Extent> },
}

/// A file that was read.
pub(super) struct Read {
    pub(super) meta: Meta,
    pub(super) stored: Stored,
    /// True if it did not change during reading.
    pub(super) steady: bool,
}

impl Writer<'_> {
    /// Reads a file, again if it changed meanwhile. The inner error concerns the file only, the outer one is fatal.
    pub(super) fn read(&mut self, file: &File) -> Result<std::io::Result<Read>> {
        let stat = || fstat(file).map(Meta::from).map_err(std::io::Error::from);
        let mut attempt = 1;
        loop {
            let before = match stat() {
                Ok(meta) if meta.kind == FileType::RegularFile => meta,
                Ok(_) => return Ok(Err(std::io::Error::other("it became something other than a file"))),
                Err(e) => return Ok(Err(e)),
            };
            let read = match self.read_once(file, &before)? {
                Ok(stored) => stat().map(|after| (stored, before.same_content(&after))),
                Err(e) => Err(e),
            };
            let (stored, steady) = match read {
                Ok(read) => read,
                Err(e) => return Ok(Err(e)),
            };
            if steady || attempt >= ATTEMPTS || before.size > LARGE * u64::from(ATTEMPTS - attempt) {
                return Ok(Ok(Read { meta: before, stored, steady }));
            }
            attempt += 1;
        }
    }

    fn read_once(&mut self, file: &File, meta: &Meta) -> Result<std::io::Result<Stored>> {
        self.pieces = None;
        if meta.size > MAX_FILE {
            return Ok(Err(too_large()));
        }
        let mut position = file;
        if let Err(e) = position.seek(SeekFrom::Start(0)) {
            return Ok(Err(e));
        }
        let has_holes = meta.sparse && meta.size >= MIN_HOLE;
        if meta.size >= u64::from(self.chunking.small_file) || has_holes {
            return self.read_large(file, meta);
        }
        let mut content = Vec::with_capacity(usize::try_from(meta.size).unwrap_or(0));
        if let Err(e) = file.take(meta.size).read_to_end(&mut content) {
            return Ok(Err(e));
        }
        self.task.advance(content.len() as u64);
        let sha256 = ChunkId(Sha256::digest(&content).into());
        Ok(Ok(Stored::Small { content, sha256 }))
    }

    fn read_large(&mut self, file: &File, meta: &Meta) -> Result<std::io::Result<Stored>> {
        let mut reader = SparseReader::new(file, meta.size, meta.sparse);
        let mut cutter = std::mem::replace(&mut self.cutter, Cutter::new(self.chunking));
        let (mut hash, mut size, mut chunks, mut stretches) = (Sha256::new(), 0, VecDeque::new(), Vec::new());
        let mut pieces = Hashes::new(meta.size, &self.namer).filter(|_| self.new.is_some() && !meta.sparse);
        let before = self.before.as_ref().filter(|_| pieces.is_some());
        let before = before.and_then(|(pieces, extents)| Before::new(pieces, extents, self.index));
        let mut changed = before.map(Changed::new);
        let result = loop {
            self.stop.check()?;
            let step = match reader.next(cutter.room()) {
                Ok(step) => step,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => break Err(e),
            };
            match step {
                Step::End => break Ok(()),
                Step::Hole(length) => {
                    hash_zeros(&mut hash, length, self.stop)?;
                    size += length;
                    stretches.push(Stretch::Hole(length));
                    self.task.advance(length);
                }
                Step::Data(length) => {
                    let content = &cutter.room()[..length];
                    hash.update(content);
                    size += length as u64;
                    lengthen(&mut stretches, length as u64);
                    if let Some(pieces) = &mut pieces {
                        pieces.add(content);
                    }
                    cutter.take(length, |chunk| match (&pieces, &mut changed) {
                        (Some(pieces), Some(changed)) => self.keep_changed(chunk, pieces, changed),
                        _ => self.keep(chunk, &mut chunks),
                    })?;
                    self.task.advance(length as u64);
                }
            }
        };
        if let Err(e) = result {
            return Ok(Err(e));
        }
        if let Some(pieces) = &mut pieces {
            pieces.close();
        }
        cutter.finish(|chunk| match (&pieces, &mut changed) {
            (Some(pieces), Some(changed)) => self.keep_changed(chunk, pieces, changed),
            _ => self.keep(chunk, &mut chunks),
        })?;
        self.cutter = cutter;
        let sha256 = ChunkId(hash.finalize().into());
        self.pieces = pieces.map(|pieces| pieces.text());
        let extents = match changed {
            Some(changed) => self.finish_changed(changed)?,
            None => extents(&stretches, chunks),
        };
        if extents.len() > MAX_EXTENTS {
            return Ok(Err(too_large()));
        }
        Ok(Ok(Stored::Large { size, sha256, extents }))
    }

    fn keep(&mut self, chunk: &[u8], chunks: &mut VecDeque<(ChunkId, u32)>) -> Result<()> {
        let length = u32::try_from(chunk.len()).expect("a chunk is shorter than 4 GiB");
        let id = self.store(chunk)?;
        chunks.push_back((id, length));
        Ok(())
    }
}

/// Returns the error for a file that no restore would accept.
fn too_large() -> std::io::Error {
    std::io::Error::other("it has more than 16 TiB, or is in more pieces than a backup can hold")
}

pub(super) fn lengthen(stretches: &mut Vec<Stretch>, length: u64) {
    match stretches.last_mut() {
        Some(Stretch::Data(data)) => *data += length,
        _ => stretches.push(Stretch::Data(length)),
    }
}

/// Maps the chunks, which were cut from all data of a file as one stream, to its stretches of data.
pub(super) fn extents(stretches: &[Stretch], mut chunks: VecDeque<(ChunkId, u32)>) -> Vec<Extent> {
    let mut extents = Vec::new();
    let mut used = 0;
    for stretch in stretches {
        let mut left = match stretch {
            Stretch::Hole(length) => {
                extents.push(Extent::Hole(*length));
                continue;
            }
            Stretch::Data(length) => *length,
        };
        while left > 0 {
            let Some((chunk, whole)) = chunks.front().copied() else { return extents };
            let length = u32::try_from(left).unwrap_or(u32::MAX).min(whole - used);
            extents.push(Extent::Data { chunk, length, offset: used });
            left -= u64::from(length);
            used += length;
            if used == whole {
                chunks.pop_front();
                used = 0;
            }
        }
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_laid_across_holes() {
        let (a, b) = (ChunkId([1; 32]), ChunkId([2; 32]));
        let stretches =
            [Stretch::Data(3), Stretch::Hole(9), Stretch::Data(4), Stretch::Hole(1), Stretch::Data(3)];
        let found = extents(&stretches, VecDeque::from([(a, 5), (b, 5)]));
        let data = |chunk, length, offset| Extent::Data { chunk, length, offset };
        let expected =
            [data(a, 3, 0), Extent::Hole(9), data(a, 2, 3), data(b, 2, 0), Extent::Hole(1), data(b, 3, 2)];
        assert_eq!(found, expected);
    }
}
