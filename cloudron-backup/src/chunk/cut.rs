//! Where content is cut: FastCDC (the 2020 paper), so that an insertion moves only the cuts near it.

use fastcdc::v2020::FastCDC;
use serde::{Deserialize, Serialize};

/// How a writer cuts content into chunks. Readers need none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunking {
    /// The shortest chunk but for the last of a file, in bytes.
    pub(crate) min: u32,
    /// The average, in bytes.
    pub(crate) average: u32,
    /// The longest, in bytes.
    pub(crate) max: u32,
    /// Files shorter than this are put together into runs, a chunk each.
    pub(crate) small_file: u32,
    /// A run is closed at this length, in bytes.
    pub(crate) run: u32,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { min: 256 << 10, average: 1 << 20, max: 4 << 20, small_file: 128 << 10, run: 4 << 20 }
    }
}

impl Chunking {
    /// Whether the numbers are ones that a writer can work with.
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

    /// The length of the first chunk of `content`, which holds `max` bytes or all that is left.
    pub(crate) fn first_cut(&self, content: &[u8]) -> usize {
        let size = |n: u32| n as usize;
        let chunker = FastCDC::new(content, size(self.min), size(self.average), size(self.max));
        chunker.cut(0, content.len()).1
    }
}

/// What a reader is given room for at once, in bytes.
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

    /// How long the buffer gets: twice the longest chunk, so that moving what is left to the front costs little.
    fn most(&self) -> usize {
        2 * self.chunking.max as usize
    }

    /// Where the next content goes. Never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let (length, most) = (self.buffer.len(), self.most());
        if self.filled == length {
            self.buffer.resize((2 * length).max(ROOM).min(most), 0);
        }
        let end = self.buffer.len().min(self.filled + ROOM);
        &mut self.buffer[self.filled..end]
    }

    /// Takes in as much of the room, and gives the chunks that are complete to `emit`.
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

    /// Takes in a copy of content.
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

    /// Gives the rest to `emit`, and is ready for the next stream.
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
