//! Cuts content into chunks with FastCDC (the 2020 paper), so that an insertion only moves nearby boundaries.

use fastcdc::v2020::FastCDC;
use serde::{Deserialize, Serialize};

/// The parameters for cutting content into chunks. Readers do not need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunking {
    /// The minimum chunk length, except for the last chunk of a file, in bytes.
    pub(crate) min: u32,
    /// The average chunk length, in bytes.
    pub(crate) average: u32,
    /// The maximum chunk length, in bytes.
    pub(crate) max: u32,
    /// The file size below which files are collected into runs, one chunk each.
    pub(crate) small_file: u32,
    /// The length at which a run is closed, in bytes.
    pub(crate) run: u32,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { min: 256 << 10, average: 1 << 20, max: 4 << 20, small_file: 128 << 10, run: 4 << 20 }
    }
}

impl Chunking {
    /// Checks that the parameters are usable for a writer.
    pub(crate) fn is_sane(&self) -> bool {
        let sizes = [self.min, self.average, self.max];
        sizes.iter().all(|s| s % 2 == 0)
            && (64..=1 << 20).contains(&self.min)
            && (256..=4 << 20).contains(&self.average)
            && (1024..=16 << 20).contains(&self.max)
            && self.min <= self.average
            && self.average <= self.max
            && self.small_file <= 1 << 20
            && self.run <= 16 << 20
    }

    /// Returns the length of the first chunk of `content`, which must have `max` bytes or all remaining ones.
    pub(crate) fn first_cut(&self, content: &[u8]) -> usize {
        let size = |n: u32| n as usize;
        let chunker = FastCDC::new(content, size(self.min), size(self.average), size(self.max));
        chunker.cut(0, content.len()).1
    }
}

/// The initial buffer space for a reader, in bytes.
const ROOM: usize = 256 << 10;

/// Cuts a stream into chunks.
pub(crate) struct Cutter {
    chunking: Chunking,
    buffer: Vec<u8>,
    filled: usize,
}

impl Cutter {
    pub(crate) fn new(chunking: Chunking) -> Self {
        Self { chunking, buffer: Vec::new(), filled: 0 }
    }

    /// Returns the maximum buffer length: twice the longest chunk, so that moving the rest to the front costs little.
    fn most(&self) -> usize {
        2 * self.chunking.max as usize
    }

    /// Returns the space for the next content. It is never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let (length, most) = (self.buffer.len(), self.most());
        if self.filled == length {
            self.buffer.resize((2 * length).max(ROOM).min(most), 0);
        }
        let end = self.buffer.len().min(self.filled + ROOM);
        &mut self.buffer[self.filled..end]
    }

    /// Takes `length` bytes written to the space, and passes complete chunks to `emit`.
    pub(crate) fn take<E>(
        &mut self,
        length: usize,
        emit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.filled += length;
        if self.filled < self.most() {
            return Ok(());
        }
        self.drain(self.chunking.max as usize, emit)
    }

    /// Adds a copy of content.
    pub(crate) fn push<E>(
        &mut self,
        mut content: &[u8],
        mut emit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !content.is_empty() {
            let room = self.room();
            let (part, rest) = content.split_at(content.len().min(room.len()));
            room[..part.len()].copy_from_slice(part);
            self.take(part.len(), &mut emit)?;
            content = rest;
        }
        Ok(())
    }

    /// Passes the rest to `emit`, and resets for the next stream.
    pub(crate) fn finish<E>(&mut self, emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.drain(1, emit)
    }

    fn drain<E>(&mut self, keep: usize, mut emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut start = 0;
        while self.filled - start >= keep.max(1) {
            let rest = &self.buffer[start..self.filled];
            let cut = self.chunking.first_cut(rest);
            emit(&rest[..cut])?;
            start += cut;
        }
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut out = vec![0; len];
        blake3::Hasher::new_keyed(&[seed as u8; 32]).finalize_xof().fill(&mut out);
        out
    }

    fn cut(content: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut cutter = Cutter::new(Chunking::default());
        let mut chunks = Vec::new();
        let mut emit = |c: &[u8]| {
            chunks.push(c.to_vec());
            Ok::<(), ()>(())
        };
        for part in content.chunks(piece) {
            cutter.push(part, &mut emit).unwrap();
        }
        cutter.finish(&mut emit).unwrap();
        chunks
    }

    #[test]
    fn chunks_join_to_the_content_however_it_arrives() {
        let content = noise(20 << 20, 1);
        let chunks = cut(&content, 1 << 20);
        assert_eq!(chunks.concat(), content);
        assert_eq!(chunks, cut(&content, 77_777));
        assert!(chunks.iter().all(|c| c.len() <= 4 << 20));
        assert!(chunks.len() > 8, "{}", chunks.len());
        assert!(cut(&[], 1).is_empty());
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let content = noise(20 << 20, 2);
        let mut changed = content.clone();
        changed.splice(7_000_000..7_000_000, *b"inserted");
        let old: HashSet<Vec<u8>> = cut(&content, 1 << 20).into_iter().collect();
        let new = cut(&changed, 1 << 20).into_iter().filter(|c| !old.contains(c)).count();
        assert!(new <= 3, "{new} new chunks");
    }
}
