//! A chunk as it is stored: one zstd frame (RFC 8878).

use cloudron_core::{Error, Result};

use crate::codes;

/// Compression level: where zstd still keeps up with a disk.
const LEVEL: i32 = 3;
/// The longest content of a frame that a reader accepts, in bytes.
pub(crate) const MAX_CHUNK: u32 = 16 << 20;
/// The longest raw block, RFC 8878 section 3.1.1.2.4.
const RAW_BLOCK: usize = 128 << 10;

/// Compresses chunks into frames.
pub(crate) struct Framer {
    compressor: zstd::bulk::Compressor<'static>,
    probe: zstd::bulk::Compressor<'static>,
}

impl Framer {
    pub(crate) fn new() -> Result<Self> {
        let new = |level| zstd::bulk::Compressor::new(level).map_err(|e| Error::io("(zstd)", e));
        Ok(Self { compressor: new(LEVEL)?, probe: new(1)? })
    }

    /// How long the frame of a chunk of that length can get on the way, in bytes.
    pub(crate) fn longest(length: usize) -> usize {
        zstd::zstd_safe::compress_bound(length) + 64
    }

    /// Appends the frame of a chunk to an empty buffer. What does not get smaller is stored as it is, in a frame
    /// of raw blocks.
    pub(crate) fn frame_to(&mut self, content: &[u8], frame: &mut Vec<u8>) -> Result<()> {
        if !self.is_incompressible(content) {
            frame.reserve(Self::longest(content.len()));
            self.compressor.compress_to_buffer(content, frame).map_err(|e| Error::io("(zstd)", e))?;
            if frame.len() <= content.len() {
                return Ok(());
            }
            frame.clear();
        }
        raw_frame(content, frame);
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn frame(&mut self, content: &[u8]) -> Result<Vec<u8>> {
        let mut frame = Vec::new();
        self.frame_to(content, &mut frame)?;
        Ok(frame)
    }

    /// Whether samples of a large chunk do not get smaller: pictures, films, archives.
    fn is_incompressible(&mut self, content: &[u8]) -> bool {
        const SAMPLE: usize = 8 << 10;
        if content.len() < 16 * SAMPLE {
            return false;
        }
        let starts = [0, content.len() / 3, content.len() / 3 * 2, content.len() - SAMPLE];
        let sample: Vec<u8> = starts.iter().flat_map(|s| &content[*s..*s + SAMPLE]).copied().collect();
        self.probe.compress(&sample).is_ok_and(|c| c.len() * 100 >= sample.len() * 98)
    }
}

/// A frame of raw blocks: RFC 8878 section 3.1.1.
fn raw_frame(content: &[u8], frame: &mut Vec<u8>) {
    let length = u32::try_from(content.len()).expect("a chunk is shorter than 4 GiB");
    frame.reserve(content.len() + 16 + 3 * (content.len() / RAW_BLOCK + 1));
    frame.extend_from_slice(&0xFD2F_B528_u32.to_le_bytes());
    // Frame_Content_Size of four bytes, Single_Segment, no checksum.
    frame.push(0b1010_0000);
    frame.extend_from_slice(&length.to_le_bytes());
    let mut rest = content;
    loop {
        let (block, after) = rest.split_at(rest.len().min(RAW_BLOCK));
        let last = u32::from(after.is_empty());
        let header = (block.len() as u32) << 3 | last;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
        if last == 1 {
            return;
        }
        rest = after;
    }
}

/// The content of a frame.
///
/// # Errors
/// `object-corrupt` for what is not a frame, or one of another length.
pub(crate) fn unframe(frame: &[u8], length: u32) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    unframe_to(frame, length, &mut content)?;
    Ok(content)
}

/// The same into an empty buffer.
pub(crate) fn unframe_to(frame: &[u8], length: u32, content: &mut Vec<u8>) -> Result<()> {
    let corrupt = |text: String| Error::new(&codes::OBJECT_CORRUPT, text);
    if length > MAX_CHUNK {
        return Err(corrupt(format!("a chunk of {length} bytes is longer than any that is written")));
    }
    content.reserve_exact(length as usize);
    zstd::zstd_safe::decompress(content, frame)
        .map_err(|code| std::io::Error::other(zstd::zstd_safe::get_error_name(code)))
        .map_err(|e| corrupt(format!("a chunk does not decompress: {e}")))?;
    if content.len() != length as usize {
        return Err(corrupt(format!("a chunk has {} bytes instead of {length}", content.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_content_comes_back_and_noise_costs_next_to_nothing() {
        let mut framer = Framer::new().unwrap();
        let mut noise = vec![0; 3 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for content in [&b""[..], b"x", &[7; 1 << 20], &noise, &noise[..RAW_BLOCK], &noise[..1000]] {
            let frame = framer.frame(content).unwrap();
            let mut raw = Vec::new();
            raw_frame(content, &mut raw);
            assert!(frame.len() <= content.len() + 100);
            assert_eq!(unframe(&frame, content.len() as u32).unwrap(), content);
            assert_eq!(unframe(&raw, content.len() as u32).unwrap(), content);
        }
        assert!(framer.frame(&[7; 1 << 20]).unwrap().len() < 1000);
    }

    #[test]
    fn a_frame_of_another_length_is_refused() {
        let frame = Framer::new().unwrap().frame(b"four").unwrap();
        assert!(unframe(&frame, 3).is_err());
        assert!(unframe(&frame, 5).is_err());
        assert!(unframe(&frame, u32::MAX).is_err());
        assert!(unframe(b"no frame", 4).is_err());
    }
}
