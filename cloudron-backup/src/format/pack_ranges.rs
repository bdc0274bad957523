//! Reads parts of packs.
//!
//! The hash of a whole pack cannot be checked in this case. It is not necessary: age authenticates each 64
//! KiB piece and their order, and every chunk is checked against the keyed hash that is its name.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use cloudron_core::{Error, Result};

use crate::encrypt::Decryptor;
use crate::format::index::Index;
use crate::store::blocking::Blocking;
use crate::{codes, layout};

/// The number of bytes that contains the header of an age file with a few recipients.
const HEAD: u64 = 1 << 10;
/// A part that begins before this offset is fetched together with the header.
const NEAR: u64 = 128 << 10;
/// The maximum number of bytes that encryption adds: the header, and a tag for each piece.
const OVERHEAD: u64 = 4 << 10;
/// The plaintext length of a piece, and the length of its tag.
const PIECE: u64 = 64 << 10;
const TAG: u64 = 16;
/// The number of pack headers cached.
const REMEMBERED: usize = 512;

/// Reads parts of the plaintext of packs. Usable by several threads.
pub(crate) struct PackRangeReader<'a> {
    store: &'a Blocking,
    index: &'a Index,
    key: &'a dyn Decryptor,
    heads: Mutex<HashMap<u32, Bytes>>,
}

impl<'a> PackRangeReader<'a> {
    pub(crate) fn new(store: &'a Blocking, index: &'a Index, key: &'a dyn Decryptor) -> Self {
        Self { store, index, key, heads: Mutex::default() }
    }

    /// Reads a part of a pack, given by its number in the index, into an empty buffer.
    ///
    /// # Errors
    /// `object-missing` or `object-corrupt`, naming the pack; errors of the store.
    pub(crate) fn read(&self, pack: u32, part: Range<u32>, buffer: &mut Vec<u8>) -> Result<()> {
        let (id, size) = self.index.packs[pack as usize];
        let key = layout::pack(&id);
        let end = u64::from(part.end);
        let mut sealed = RangeReader {
            store: self.store,
            key: &key,
            size,
            at: 0,
            wanted: u64::from(part.start)..end + (end / PIECE + 2) * TAG + PIECE + OVERHEAD,
            head: self.heads().get(&pack).cloned().unwrap_or_default(),
            fetched: (0, Bytes::new()),
            failure: None,
        };
        let length = part.len();
        buffer.resize(length, 0);
        let read = self.key.open_part(&mut sealed, u64::from(part.start), buffer);
        self.remember(pack, &sealed);
        if let Some(cause) = sealed.failure {
            return Err(cause);
        }
        read.map_err(|e| Error::new(&codes::OBJECT_CORRUPT, format!("{key}: {e}")))
    }

    fn heads(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Bytes>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, pack: u32, sealed: &RangeReader<'_>) {
        let mut heads = self.heads();
        if sealed.head.is_empty() || heads.contains_key(&pack) {
            return;
        }
        if heads.len() >= REMEMBERED {
            heads.clear();
        }
        // A copy: a slice would keep everything fetched with it in memory.
        heads.insert(pack, Bytes::copy_from_slice(&sealed.head));
    }
}

/// An object of the store that is read on demand.
struct RangeReader<'a> {
    store: &'a Blocking,
    key: &'a str,
    size: u64,
    at: u64,
    /// The expected range, so that one request fetches it.
    wanted: Range<u64>,
    head: Bytes,
    fetched: (u64, Bytes),
    failure: Option<Error>,
}

impl RangeReader<'_> {
    fn fetch(&mut self) -> Result<()> {
        let end = if self.at == 0 && self.head.is_empty() && self.wanted.start > NEAR {
            HEAD
        } else {
            self.wanted.end.max(self.at + PIECE + TAG)
        };
        let content = self.store.get_range(self.key, self.at..end.min(self.size))?;
        if self.at == 0 {
            self.head = content.slice(..content.len().min(HEAD as usize));
        }
        self.fetched = (self.at, content);
        Ok(())
    }

    /// Returns the fetched bytes from the current position on.
    fn known(&self) -> Option<&[u8]> {
        let from = |start: u64, content: &Bytes| {
            let offset = usize::try_from(self.at.checked_sub(start)?).ok()?;
            (offset < content.len()).then_some(offset)
        };
        if let Some(offset) = from(self.fetched.0, &self.fetched.1) {
            return Some(&self.fetched.1[offset..]);
        }
        from(0, &self.head).map(|offset| &self.head[offset..])
    }
}

impl Read for RangeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() || self.at >= self.size {
            return Ok(0);
        }
        if self.known().is_none() {
            self.fetch().map_err(|e| {
                let outer = std::io::Error::other(e.to_string());
                self.failure.get_or_insert(e);
                outer
            })?;
        }
        // Still empty if the object is too short.
        let known = self.known().unwrap_or_default();
        let length = known.len().min(buffer.len());
        buffer[..length].copy_from_slice(&known[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for RangeReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
