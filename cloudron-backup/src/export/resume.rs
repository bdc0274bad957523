//! Checks how much of an interrupted export can be kept: the part that equals the output of this export.

use std::io::{ErrorKind, Read};

use cloudron_core::{Result, Unit};
use sha2::{Digest, Sha256};

use super::head::{BLOCK, head};
use super::{Source, content_size, padding};
use crate::chunk::ChunkId;
use crate::format::manifest::{Entry, Kind};
use crate::runtime::Stop;
use crate::snapshot::Session;

/// The existing part of a file's content.
#[derive(Debug, Clone, Default)]
pub(super) struct Partial {
    /// The length in bytes.
    pub(super) length: u64,
    pub(super) hash: Sha256,
}

/// The start of a tar that need not be written again.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// The number of complete, checked entries.
    pub(super) entries: u64,
    /// Their end, in bytes from the start of the tar.
    pub(super) at: u64,
    /// The next entry, if its header is complete: its content is checked with the rest of it.
    pub(super) partial: Option<Partial>,
    /// The length of that header, in bytes.
    head: u64,
}

impl Kept {
    /// Returns the length in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.at + self.partial.as_ref().map_or(0, |p| self.head + p.length)
    }
}

/// The state of an entry.
enum Found {
    /// Complete and correct.
    Whole,
    /// The header, and a part of the content.
    Partial(Partial),
    /// Nothing, or an incomplete header.
    Cut,
    /// Different content.
    Other,
}

/// Compares the existing tar with the manifest. Returns the part to keep, and the path of the next entry if
/// it exists and is different.
pub(super) fn check(source: &Source<'_>, part: &mut dyn Read) -> Result<(Kept, Option<String>)> {
    let Source { reading, backup } = *source;
    let Session { progress, stop, .. } = **reading;
    let task = progress.task("Checking what is there", Unit::Bytes, Some(backup.summary.bytes));
    let mut kept = Kept::default();
    let mut entries = backup.entries()?;
    let mut buffer = vec![0; 256 << 10];
    while let Some(entry) = entries.next()? {
        let head = head(&entry);
        match find(&entry, &head, part, &mut buffer, stop)? {
            Found::Whole => {
                let size = content_size(&entry);
                kept.entries += 1;
                kept.at += (head.len() + padding(size)) as u64 + size;
                task.advance(entry.size);
            }
            Found::Partial(partial) => {
                (kept.partial, kept.head) = (Some(partial), head.len() as u64);
                break;
            }
            Found::Cut => break,
            Found::Other => return Ok((kept, Some(entry.path().display().to_string()))),
        }
    }
    task.finish();
    Ok((kept, None))
}

fn find(entry: &Entry, head: &[u8], part: &mut dyn Read, buffer: &mut Vec<u8>, stop: &Stop) -> Result<Found> {
    if buffer.len() < head.len() {
        buffer.resize(head.len(), 0);
    }
    let found = &mut buffer[..head.len()];
    let length = fill(part, found);
    if found[..length] != head[..length] {
        return Ok(Found::Other);
    }
    if length < head.len() {
        return Ok(Found::Cut);
    }
    let size = content_size(entry);
    let mut partial = Partial::default();
    while partial.length < size {
        stop.check()?;
        let most = usize::try_from(size - partial.length).unwrap_or(usize::MAX).min(buffer.len());
        let length = fill(part, &mut buffer[..most]);
        partial.hash.update(&buffer[..length]);
        partial.length += length as u64;
        if length < most {
            return Ok(Found::Partial(partial));
        }
    }
    if entry.kind == Kind::File && Some(ChunkId(partial.hash.clone().finalize().into())) != entry.sha256 {
        return Ok(Found::Other);
    }
    let mut filler = [0; BLOCK];
    let filler = &mut filler[..padding(size)];
    let length = fill(part, filler);
    Ok(match (filler.iter().all(|b| *b == 0), length == filler.len()) {
        (false, _) => Found::Other,
        (true, true) => Found::Whole,
        (true, false) => Found::Partial(partial),
    })
}

/// Reads until the buffer is full or nothing more can be read. In a truncated encrypted file reading fails,
/// which counts as the end here.
fn fill(part: &mut dyn Read, buffer: &mut [u8]) -> usize {
    let mut length = 0;
    while length < buffer.len() {
        match part.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    length
}
