//! Large files that change in place, such as databases and disk images.
//!
//! A change of a few bytes would replace a whole chunk. The file cache keeps a hash of every 64 KiB of a
//! large file, so that the next run can see which parts of a changed chunk are unchanged. Those refer to the
//! stored chunk, and only the rest is stored. This needs no support in the format, because a file is a list
//! of parts of chunks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloudron_core::Result;

use super::entries::Writer;
use crate::chunk::{ChunkId, ChunkNamer};
use crate::format::index::Index;
use crate::format::manifest::Extent;

/// The file sizes for which this is done. Storing shorter files again costs little; the hashes of longer ones
/// take too much space.
const SIZES: std::ops::RangeInclusive<u64> = 8 << 20..=64 << 30;
const PIECE: usize = 64 << 10;
/// The length in bytes of chunks for changed content.
const FRESH: usize = 1 << 20;
/// A file whose parts are shorter than this on average is stored anew: otherwise it would be read from too
/// many places, and keep too much unused content.
const SHORTEST: u64 = 2 * PIECE as u64;

type Hash = [u8; 16];

/// The hashes of the pieces of a file, computed while it is read.
pub(super) struct Hashes {
    done: Vec<Hash>,
    open: blake3::Hasher,
    filled: usize,
}

impl Hashes {
    /// Returns `None` for a file size outside of the range.
    pub(super) fn new(size: u64, namer: &ChunkNamer) -> Option<Self> {
        SIZES.contains(&size).then(|| Self { done: Vec::new(), open: namer.hasher(), filled: 0 })
    }

    pub(super) fn add(&mut self, mut content: &[u8]) {
        while !content.is_empty() {
            let (part, rest) = content.split_at(content.len().min(PIECE - self.filled));
            self.open.update(part);
            self.filled += part.len();
            if self.filled == PIECE {
                self.close();
            }
            content = rest;
        }
    }

    /// Completes the last piece.
    pub(super) fn close(&mut self) {
        if self.filled > 0 {
            let mut hash = Hash::default();
            self.open.finalize_xof().fill(&mut hash);
            self.done.push(hash);
            self.open.reset();
            self.filled = 0;
        }
    }

    /// Returns the text form for the file cache.
    pub(super) fn text(&self) -> String {
        BASE64.encode(self.done.as_flattened())
    }
}

/// A file as stored by the previous backup.
pub(super) struct Before {
    hashes: Vec<Hash>,
    extents: Vec<(u64, Part)>,
    size: u64,
}

impl Before {
    /// Returns `None` if it has holes or too many parts, or if some of them are no longer in the store.
    pub(super) fn new(pieces: &str, extents: &[Extent], index: &Index) -> Option<Self> {
        let bytes = BASE64.decode(pieces).ok()?;
        let (hashes, rest) = bytes.as_chunks::<16>();
        let (mut size, mut found) = (0, Vec::with_capacity(extents.len()));
        for extent in extents {
            let Extent::Data { chunk, length, offset } = *extent else { return None };
            if !index.contains(&chunk) {
                return None;
            }
            found.push((size, Part { chunk, offset, length }));
            size += u64::from(length);
        }
        let whole = rest.is_empty() && hashes.len() as u64 == size.div_ceil(PIECE as u64);
        let few = extents.len() as u64 * SHORTEST <= size;
        (whole && few).then(|| Self { hashes: hashes.to_vec(), extents: found, size })
    }

    /// Adds the parts of chunks that hold a stretch of the file.
    fn parts(&self, mut at: u64, mut length: u64, parts: &mut Parts) {
        let mut n = self.extents.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        while length > 0 {
            let Some((start, part)) = self.extents.get(n) else { return };
            let skip = u32::try_from(at - start).unwrap_or(u32::MAX);
            let here = length.min(u64::from(part.length - skip));
            let length_here = u32::try_from(here).unwrap_or(u32::MAX);
            parts.push(Part { chunk: part.chunk, offset: part.offset + skip, length: length_here });
            (at, length, n) = (at + here, length - here, n + 1);
        }
    }
}

#[derive(Clone, Copy)]
struct Part {
    chunk: ChunkId,
    offset: u32,
    length: u32,
}

#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn push(&mut self, part: Part) {
        match self.0.last_mut() {
            Some(last) if last.chunk == part.chunk && last.offset + last.length == part.offset => {
                last.length += part.length;
            }
            _ => self.0.push(part),
        }
    }
}

/// A placeholder for the chunk that is being collected. No content can have this name.
const GATHERED: ChunkId = ChunkId([0; 32]);

/// A changed file that is being stored.
pub(super) struct Changed {
    before: Before,
    at: u64,
    parts: Parts,
    fresh: Vec<u8>,
    /// The index of the first part that may refer to the chunk being collected.
    open: usize,
}

impl Changed {
    pub(super) fn new(before: Before) -> Self {
        Self { before, at: 0, parts: Parts::default(), fresh: Vec::new(), open: 0 }
    }

    /// Splits the next chunk into stretches: their lengths, and whether they are unchanged.
    fn stretches(&self, length: usize, now: &Hashes) -> Vec<(usize, bool)> {
        let mut found: Vec<(usize, bool)> = Vec::new();
        let (mut at, end) = (self.at, self.at + length as u64);
        while at < end {
            let piece = usize::try_from(at / PIECE as u64).unwrap_or(usize::MAX);
            let piece_end = (at / PIECE as u64 + 1) * PIECE as u64;
            let length = (piece_end.min(end) - at) as usize;
            let (old, new) = (self.before.hashes.get(piece), now.done.get(piece));
            let same = old.is_some() && old == new && at + length as u64 <= self.before.size;
            match found.last_mut() {
                Some((last, kind)) if *kind == same => *last += length,
                _ => found.push((length, same)),
            }
            at += length as u64;
        }
        found
    }
}

impl Writer<'_> {
    /// Stores the changed parts of a chunk. The relevant hashes of its pieces are known at this point.
    pub(super) fn keep_changed(&mut self, chunk: &[u8], now: &Hashes, file: &mut Changed) -> Result<()> {
        let stretches = file.stretches(chunk.len(), now);
        let same: usize = stretches.iter().filter(|(_, same)| *same).map(|(length, _)| length).sum();
        let id = self.namer.name(chunk);
        if self.index.contains(&id) || self.sent.contains(&id) || same * 2 < chunk.len() {
            self.store(chunk)?;
            let length = u32::try_from(chunk.len()).expect("a chunk is shorter than 4 GiB");
            file.parts.push(Part { chunk: id, offset: 0, length });
            file.at += chunk.len() as u64;
            return Ok(());
        }
        let mut rest = chunk;
        for (length, same) in stretches {
            let (part, behind) = rest.split_at(length);
            if same {
                file.before.parts(file.at, length as u64, &mut file.parts);
            } else {
                let offset = u32::try_from(file.fresh.len()).expect("little is gathered");
                let length = u32::try_from(length).expect("a chunk is shorter than 4 GiB");
                file.parts.push(Part { chunk: GATHERED, offset, length });
                file.fresh.extend_from_slice(part);
            }
            file.at += length as u64;
            rest = behind;
        }
        if file.fresh.len() >= FRESH { self.store_fresh(file) } else { Ok(()) }
    }

    fn store_fresh(&mut self, file: &mut Changed) -> Result<()> {
        if file.fresh.is_empty() {
            return Ok(());
        }
        let chunk = self.store(&file.fresh)?;
        file.fresh.clear();
        for part in file.parts.0[file.open..].iter_mut().filter(|part| part.chunk == GATHERED) {
            part.chunk = chunk;
        }
        file.open = file.parts.0.len();
        Ok(())
    }

    /// Stores the remaining content, and returns the extents of the file.
    pub(super) fn finish_changed(&mut self, mut file: Changed) -> Result<Vec<Extent>> {
        self.store_fresh(&mut file)?;
        let extent = |p: Part| Extent::Data { chunk: p.chunk, length: p.length, offset: p.offset };
        Ok(file.parts.0.into_iter().map(extent).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::index::{PackEntry, PackedChunk};

    fn hashes(content: &[u8], step: usize) -> Hashes {
        let namer = ChunkNamer::new(zeroize::Zeroizing::new([7; 32]));
        let mut hashes = Hashes::new(8 << 20, &namer).unwrap();
        content.chunks(step).for_each(|part| hashes.add(part));
        hashes.close();
        hashes
    }

    #[test]
    fn hashes_are_the_same_however_the_content_arrives() {
        let content: Vec<u8> = (0..300_000u32).map(|n| (n / 1000) as u8).collect();
        let all = hashes(&content, content.len());
        assert_eq!(all.done.len(), 5);
        assert_eq!(all.text(), hashes(&content, 7777).text());
    }

    #[test]
    fn a_stretch_is_found_across_parts_of_chunks() {
        let (a, b) = (ChunkId([1; 32]), ChunkId([2; 32]));
        let mut index = Index::default();
        let chunks = [(a, 0, 10, 200_000), (b, 10, 10, 200_000)].map(PackedChunk::from).to_vec();
        index.add(&PackEntry { pack: ChunkId([9; 32]), size: 20, chunks });
        let extents = [
            Extent::Data { chunk: a, length: 150_000, offset: 0 },
            Extent::Data { chunk: b, length: 150_000, offset: 50_000 },
        ];
        let text = hashes(&vec![0; 300_000], 1000).text();
        let before = Before::new(&text, &extents, &index).unwrap();
        let mut parts = Parts::default();
        before.parts(140_000, 20_000, &mut parts);
        let found: Vec<_> = parts.0.iter().map(|p| (p.chunk, p.offset, p.length)).collect();
        assert_eq!(found, [(a, 140_000, 10_000), (b, 50_000, 10_000)]);
        assert!(Before::new(&text, &extents[..1], &index).is_none(), "of another size");
        assert!(Before::new(&text, &extents, &Index::default()).is_none(), "not in the store");
    }
}
