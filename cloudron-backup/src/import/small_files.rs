//! Collects small files of an archive into chunks, in the order of the archive.

use cloudron_core::Result;

use crate::backup::entries::Writer;
use crate::chunk::ChunkId;
use crate::format::manifest::{Entry, Extent};

/// Content collected for a chunk, and the entries that it belongs to.
#[derive(Default)]
pub(super) struct SmallFiles {
    content: Vec<u8>,
    places: Vec<Place>,
}

/// The location of an entry's content.
struct Place {
    /// The index of the entry.
    entry: usize,
    offset: u32,
    length: u32,
}

impl SmallFiles {
    /// Adds the content of an entry. Its extents are set once the chunk is full.
    pub(super) fn add(
        &mut self,
        entry: usize,
        content: &[u8],
        sha256: ChunkId,
        entries: &mut [Entry],
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        let (offset, length) = (self.content.len() as u32, content.len() as u32);
        self.places.push(Place { entry, offset, length });
        self.content.extend_from_slice(content);
        // The boundary depends on the content, so that similar archives are cut at the same places.
        let run = writer.chunking.run as usize;
        let filled = self.content.len();
        if filled >= run || (sha256.0[0] < 8 && filled >= run / 2) {
            self.close(entries, writer)?;
        }
        Ok(())
    }

    /// Stores the collected content.
    pub(super) fn close(&mut self, entries: &mut [Entry], writer: &mut Writer<'_>) -> Result<()> {
        if self.content.is_empty() {
            return Ok(());
        }
        let chunk = writer.store(&self.content)?;
        self.content.clear();
        for Place { entry, offset, length } in self.places.drain(..) {
            entries[entry].extents = vec![Extent::Data { chunk, length, offset }];
        }
        Ok(())
    }
}
