//! Parts of packs, fetched alone.
//!
//! The hash of a whole pack cannot be checked then. It need not be: age authenticates each of its pieces of
//! 64 KiB and their order, and every chunk is checked against the keyed hash that it is named by.

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

/// Enough for the header of an age file with a few recipients, in bytes.
const HEAD: u64 = 1 << 10;
/// A part that begins before this is fetched together with the header.
const NEAR: u64 = 128 << 10;
/// What sealing adds to the content at most, in bytes: the header, and a tag for each piece.
const OVERHEAD: u64 = 4 << 10;
/// The plain length of a piece, and what its tag adds.
const PIECE: u64 = 64 << 10;
const TAG: u64 = 16;
/// The heads of so many packs are remembered.
const REMEMBERED: usize = 512;

/// Gives parts of the plain content of packs. Several threads may ask.
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

    /// Puts a part of a pack, by its number in the index, into an empty buffer.
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
        // A copy: a slice would keep all that was fetched with it.
        heads.insert(pack, Bytes::copy_from_slice(&sealed.head));
    }
}

/// An object of the store that is read where it is asked for.
struct RangeReader<'a> {
    store: &'a Blocking,
    key: &'a str,
    size: u64,
    at: u64,
    /// What will be asked for, roughly, so that one request brings it.
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

    /// What is known from the current position on.
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
        // Still nothing when the object is shorter than it must be.
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
