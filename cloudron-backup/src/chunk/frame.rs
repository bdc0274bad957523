//! The stored form of a chunk: one zstd frame (RFC 8878).

use cloudron_core::{Error, Result};
use zstd::zstd_safe::CParameter;

use crate::codes;

/// The compression parameters: level 2, with a window that covers a whole run, and a hash table large enough
/// for it. Mail and database dumps get as small as with level 3, programs 3% larger, in 15% less time.
const COMPRESSION: [CParameter; 3] =
    [CParameter::CompressionLevel(2), CParameter::WindowLog(22), CParameter::HashLog(18)];
/// The maximum content length of a frame that readers accept, in bytes.
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
        let failed = |e| Error::io("(zstd)", e);
        let mut compressor = zstd::bulk::Compressor::default();
        COMPRESSION.into_iter().try_for_each(|p| compressor.set_parameter(p)).map_err(failed)?;
        Ok(Self { compressor, probe: zstd::bulk::Compressor::new(1).map_err(failed)? })
    }

    /// Returns the maximum length of the frame for a chunk of this length during compression, in bytes.
    pub(crate) fn longest(length: usize) -> usize {
        zstd::zstd_safe::compress_bound(length) + 64
    }

    /// Compresses a chunk into an empty buffer. Returns false for incompressible content: it is stored in a
    /// frame of raw blocks, and the buffer stays empty.
    pub(crate) fn compress_to(&mut self, content: &[u8], frame: &mut Vec<u8>) -> Result<bool> {
        if self.is_incompressible(content) {
            return Ok(false);
        }
        frame.reserve(Self::longest(content.len()));
        self.compressor.compress_to_buffer(content, frame).map_err(|e| Error::io("(zstd)", e))?;
        if frame.len() > content.len() {
            frame.clear();
        }
        Ok(!frame.is_empty())
    }

    #[cfg(test)]
    pub(crate) fn frame(&mut self, content: &[u8]) -> Result<Vec<u8>> {
        use std::io::Write;

        let mut frame = Vec::new();
        if !self.compress_to(content, &mut frame)? {
            let append = |part: &[u8]| frame.write_all(part);
            raw_frame(content, append).map_err(|e| Error::io("(memory)", e))?;
        }
        Ok(frame)
    }

    /// Checks whether samples of a large chunk are incompressible, as in pictures, films and archives.
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

/// Passes the parts of a frame of raw blocks, RFC 8878 section 3.1.1, to `emit`.
pub(crate) fn raw_frame<E>(content: &[u8], mut emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let length = u32::try_from(content.len()).expect("a chunk is shorter than 4 GiB");
    emit(&0xFD2F_B528_u32.to_le_bytes())?;
    // Frame_Content_Size of four bytes, Single_Segment, no checksum.
    emit(&[0b1010_0000])?;
    emit(&length.to_le_bytes())?;
    let mut rest = content;
    loop {
        let (block, after) = rest.split_at(rest.len().min(RAW_BLOCK));
        let last = u32::from(after.is_empty());
        let header = (block.len() as u32) << 3 | last;
        emit(&header.to_le_bytes()[..3])?;
        emit(block)?;
        if last == 1 {
            return Ok(());
        }
        rest = after;
    }
}

/// Returns the content of a frame.
///
/// # Errors
/// `object-corrupt` for invalid frames, or a content of another length.
pub(crate) fn unframe(frame: &[u8], length: u32) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    unframe_to(frame, length, &mut content)?;
    Ok(content)
}

/// Unpacks a frame into an empty buffer.
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
    use std::io::Write;

    use super::*;

    #[test]
    fn any_content_comes_back_and_noise_costs_next_to_nothing() {
        let mut framer = Framer::new().unwrap();
        let mut noise = vec![0; 3 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for content in [&b""[..], b"x", &[7; 1 << 20], &noise, &noise[..RAW_BLOCK], &noise[..1000]] {
            let frame = framer.frame(content).unwrap();
            let mut raw = Vec::new();
            raw_frame(content, |part| raw.write_all(part)).unwrap();
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
