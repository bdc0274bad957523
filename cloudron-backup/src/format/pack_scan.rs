//! Finds the chunks of a pack without an index.

use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::chunk::ChunkNamer;
use crate::chunk::frame::{MAX_CHUNK, unframe};
use crate::format::index::PackedChunk;

/// Returns the chunks in the plaintext of a pack, up to the end or to the first invalid chunk. The second
/// value is true if the end was reached.
pub(crate) fn chunks_in(plain: &[u8], namer: &ChunkNamer) -> (Vec<PackedChunk>, bool) {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < plain.len() {
        let Some((chunk, length)) = chunk_at(plain, at, namer) else { return (found, false) };
        found.push(chunk);
        at += length;
    }
    (found, true)
}

fn chunk_at(plain: &[u8], at: usize, namer: &ChunkNamer) -> Option<(PackedChunk, usize)> {
    let rest = &plain[at..];
    let length = find_frame_compressed_size(rest).ok()?;
    let frame = rest.get(..length)?;
    let raw = u32::try_from(get_frame_content_size(frame).ok()??).ok().filter(|raw| *raw <= MAX_CHUNK)?;
    let content = unframe(frame, raw).ok()?;
    let chunk = PackedChunk {
        id: namer.name(&content),
        offset: u32::try_from(at).ok()?,
        length: u32::try_from(length).ok()?,
        raw,
    };
    Some((chunk, length))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::chunk::frame::Framer;

    #[test]
    fn the_chunks_of_a_pack_are_found_up_to_the_damage() {
        let namer = ChunkNamer::new(Zeroizing::new([7; 32]));
        let contents = [&b"some text, some text"[..], b"", &[9; 300_000], b"x"];
        let mut framer = Framer::new().unwrap();
        let frames: Vec<Vec<u8>> = contents.iter().map(|c| framer.frame(c).unwrap()).collect();
        let plain = frames.concat();
        let (found, whole) = chunks_in(&plain, &namer);
        assert!(whole);
        let names: Vec<_> = found.iter().map(|c| c.id).collect();
        assert_eq!(names, contents.iter().map(|c| namer.name(c)).collect::<Vec<_>>());
        assert!(found.iter().zip(contents).all(|(f, c)| f.raw as usize == c.len()));
        let (found, whole) = chunks_in(&plain[..plain.len() - 3], &namer);
        assert_eq!((found.len(), whole), (3, false));
        assert_eq!(chunks_in(b"no frame at all", &namer).0.len(), 0);
    }
}
