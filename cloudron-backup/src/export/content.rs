//! Writes the content of a file from its chunks.

use cloudron_core::{Error, Result, Task};
use sha2::{Digest, Sha256};

use super::resume::Partial;
use super::sink::Sink;
use crate::chunk::{ChunkId, hash_zeros, slice};
use crate::codes;
use crate::format::manifest::{Entry, Extent, Kind};
use crate::format::pack::ChunkReader;
use crate::runtime::Stop;

/// The zeros written for holes, in pieces.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The context for writing content.
pub(super) struct Content<'a> {
    pub(super) chunks: &'a ChunkReader<'a>,
    pub(super) task: &'a Task,
    pub(super) stop: &'a Stop,
}

impl Content<'_> {
    /// Writes the content of an entry from the end of its kept part, and checks the hash of all of it. Chunks
    /// of the kept part are not fetched.
    pub(super) fn write(&self, entry: &Entry, kept: Option<Partial>, sink: &mut Sink<'_>) -> Result<()> {
        if entry.kind != Kind::File {
            return Ok(());
        }
        let was_kept = kept.as_ref().is_some_and(|k| k.length > 0);
        let Partial { length: from, mut hash } = kept.unwrap_or_default();
        self.task.advance(from);
        let mut at = 0;
        for extent in &entry.extents {
            self.stop.check()?;
            let (start, end) = (at, at + extent.length());
            at = end;
            if end <= from {
                continue;
            }
            let skip = from.saturating_sub(start);
            match extent {
                Extent::Hole(length) => self.zeros(length - skip, &mut hash, sink)?,
                Extent::Data { chunk, length, offset } => {
                    let content = self.chunks.chunk(chunk)?;
                    let part = slice(&content, *offset, *length)?;
                    let part = &part[usize::try_from(skip).unwrap_or(usize::MAX).min(part.len())..];
                    hash.update(part);
                    sink.write(part)?;
                    self.task.advance(part.len() as u64);
                }
            }
        }
        if Some(ChunkId(hash.finalize().into())) == entry.sha256 {
            return Ok(());
        }
        Err(match was_kept {
            // The next run finds the same damage, and keeps nothing of this file.
            true => Error::new(&codes::EXPORT_PART, "what an earlier export had left of it was damaged"),
            false => {
                let text = "the content does not have the hash that the backup says";
                Error::new(&codes::OBJECT_CORRUPT, text)
            }
        })
    }

    fn zeros(&self, length: u64, hash: &mut Sha256, sink: &mut Sink<'_>) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let part = left.min(ZEROS.len() as u64);
            hash_zeros(hash, part, self.stop)?;
            sink.write(&ZEROS[..part as usize])?;
            self.task.advance(part);
            left -= part;
        }
        Ok(())
    }
}
