//! Collects small files into one chunk, and the entries that wait for it.

use cloudron_core::Result;

use super::entries::Writer;
use super::write::optional;
use crate::cache::files::Stamp;
use crate::chunk::ChunkId;
use crate::format::manifest::{Entry, Extent};
use crate::packer::Uploads;

/// The maximum number of entries that wait for a run.
const MAX_WAITING: usize = 4096;

/// Small files that are collected into one chunk, and all entries since the first of them, in order.
pub(super) struct Run {
    content: Vec<u8>,
    waiting: Vec<Waiting>,
}

impl Run {
    pub(super) fn new(uploads: &Uploads<'_>) -> Self {
        Self { content: uploads.buffer(0), waiting: Vec::new() }
    }
}

struct Waiting {
    entry: Entry,
    stamp: Option<Stamp>,
    /// The location of the content in the run.
    place: Option<Place>,
}

/// The location of a file's content in the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    offset: u32,
    length: u32,
}

impl Writer<'_> {
    /// Adds a small file to the run, and closes the run at a boundary determined by content, so that runs of
    /// the same files are cut at the same places next time.
    pub(super) fn put_small(&mut self, entry: Entry, stamp: Option<Stamp>, content: &[u8]) -> Result<()> {
        if content.is_empty() {
            return self.put(entry, stamp, None);
        }
        let place = Place { offset: self.run.content.len() as u32, length: content.len() as u32 };
        let cut_here = entry.sha256.is_some_and(|s| s.0[0] < 8);
        self.run.content.extend_from_slice(content);
        self.put(entry, stamp, Some(place))?;
        let length = self.run.content.len();
        if length >= self.chunking.run as usize || (cut_here && length >= self.chunking.run as usize / 2) {
            self.close_run()?;
        }
        Ok(())
    }

    /// Adds an entry whose content is in the run, already stored, or empty.
    pub(crate) fn put(&mut self, entry: Entry, stamp: Option<Stamp>, place: Option<Place>) -> Result<()> {
        *self.counts.kinds.entry(entry.kind).or_default() += 1;
        self.counts.bytes += entry.size;
        self.run.waiting.push(Waiting { entry, stamp, place });
        if self.run.content.is_empty() || self.run.waiting.len() >= MAX_WAITING {
            self.close_run()?;
        }
        Ok(())
    }

    /// Stores the run as a chunk and writes the entries that waited for it.
    pub(super) fn close_run(&mut self) -> Result<()> {
        let content = std::mem::take(&mut self.run.content);
        let mut waiting = std::mem::take(&mut self.run.waiting);
        let chunk = if content.is_empty() { None } else { Some(self.store_run(content)?) };
        for Waiting { mut entry, stamp, place } in waiting.drain(..) {
            if let (Some(chunk), Some(Place { offset, length })) = (chunk, place) {
                entry.extents = vec![Extent::Data { chunk, length, offset }];
            }
            self.manifest.entry(&mut entry)?;
            if let (Some(new), Some(stamp)) = (&mut self.new, stamp)
                && optional(new.add(&stamp, &entry), self.progress).is_none()
            {
                self.new = None;
            }
        }
        self.run.waiting = waiting;
        Ok(())
    }

    /// Stores a run as a chunk unless it exists, and begins the next one.
    fn store_run(&mut self, content: Vec<u8>) -> Result<ChunkId> {
        let id = self.namer.name(&content);
        if self.is_new(id) {
            self.run.content = self.uploads.buffer(content.len());
            self.uploads.store(id, content)?;
        } else {
            self.run.content = content;
            self.run.content.clear();
        }
        Ok(id)
    }
}
