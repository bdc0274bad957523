//! Reads a tar as a stream: POSIX ustar and pax (IEEE Std 1003.1, pax), and the extensions of GNU tar (its
//! manual, "Tar Internals").
//!
//! This crate has its own reader because names and attributes may contain any byte, including line breaks,
//! because a truncated tar must be distinguished from a whole one, and because errors must say where they are.

mod header;
mod pax;
mod sparse;
pub(crate) use sparse::Data;

use cloudron_core::{Error, Result};

use crate::codes;
use crate::files::xattrs::Xattrs;
use crate::format::manifest::Kind;
pub(crate) use header::looks_like_tar;
use header::{BLOCK, Header};
use pax::Records;

/// The maximum size of a name or set of records, in bytes.
const MAX_EXTENSION: u64 = 16 << 20;

/// The source of a tar's bytes.
pub(crate) trait Bytes {
    /// Returns the next bytes, at most `most`; empty at the end.
    ///
    /// # Errors
    /// Errors of the source, with the part that was read.
    fn next(&mut self, most: usize) -> Result<&[u8]>;
}

/// A member of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) kind: Kind,
    /// The name as it is in the tar.
    pub(crate) path: Vec<u8>,
    /// The target of a symbolic or hard link.
    pub(crate) target: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) mtime: (i64, u32),
    pub(crate) rdev: (u32, u32),
    pub(crate) xattrs: Xattrs,
    /// The size of the file, including holes, in bytes.
    pub(crate) size: u64,
    /// The stretches of data of a file with holes: offset and length.
    pub(crate) sparse: Option<Vec<Data>>,
}

/// Reads the members one after another.
pub(crate) struct Reader<B> {
    input: B,
    /// The number of bytes read from the tar.
    at: u64,
    /// The remaining length of the member's stored content.
    left: u64,
    /// The length of the padding of its last block.
    padding: u64,
    /// Records that apply to all following members.
    global: Records,
}

impl<B: Bytes> Reader<B> {
    pub(crate) fn new(input: B) -> Self {
        Self { input, at: 0, left: 0, padding: 0, global: Records::default() }
    }

    /// Returns the next member, or `None` at the proper end.
    ///
    /// # Errors
    /// `old-backup-corrupt`; errors of the input.
    pub(crate) fn next(&mut self) -> Result<Option<Member>> {
        self.skip()?;
        let mut records = self.global.clone();
        loop {
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            if block == [0; BLOCK] {
                self.drain()?;
                return Ok(None);
            }
            let header = Header::parse(&block).map_err(|e| corrupt(e, self.at))?;
            match header.flag {
                b'g' => {
                    let text = self.extension(header.size)?;
                    self.global.add(&text).map_err(|e| corrupt(e, self.at))?;
                    records.add(&text).map_err(|e| corrupt(e, self.at))?;
                }
                b'x' => {
                    let text = self.extension(header.size)?;
                    records.add(&text).map_err(|e| corrupt(e, self.at))?;
                }
                b'L' => records.path = Some(until_nul(self.extension(header.size)?)),
                b'K' => records.target = Some(until_nul(self.extension(header.size)?)),
                // A volume label is no member.
                b'V' => {
                    self.expect(header.size);
                    self.skip()?;
                }
                _ => return self.member(&block, header, records).map(Some),
            }
        }
    }

    fn member(&mut self, block: &[u8; BLOCK], header: Header, mut records: Records) -> Result<Member> {
        let mut kind = header.kind();
        let stored = match (kind, header.flag) {
            (Kind::File, _) => records.size.unwrap_or(header.size),
            // The folder listing of an incremental dump.
            (_, b'D') => header.size,
            _ => 0,
        };
        self.expect(stored);
        let (mut size, mut holes) = (if kind == Kind::File { stored } else { 0 }, None);
        if header.flag == b'S' {
            (holes, size) = self.old_gnu_sparse(block).map(|map| (Some(map.data), map.size))?;
        } else if kind == Kind::File && records.sparse.is_some() {
            (holes, size) = self.pax_sparse(&mut records).map(|map| (Some(map.data), map.size))?;
        }
        if let Some(map) = &holes {
            sparse::check(map, self.left, size).map_err(|e| corrupt(e, self.at))?;
        }
        let mut path = records.path.unwrap_or(header.path);
        // In old tars, names of folders end in a slash, and have no type of their own.
        if kind == Kind::File && path.last() == Some(&b'/') && size == 0 {
            kind = Kind::Dir;
        }
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
        Ok(Member {
            kind,
            path,
            target: records.target.unwrap_or(header.target),
            mode: header.mode,
            uid: records.uid.unwrap_or(header.uid),
            gid: records.gid.unwrap_or(header.gid),
            user: records.user.or(header.user),
            group: records.group.or(header.group),
            mtime: records.mtime.unwrap_or((header.mtime, 0)),
            rdev: header.rdev,
            xattrs: records.xattrs,
            size,
            sparse: holes,
        })
    }

    /// Returns the next bytes of the member's stored content, at most `most`; empty at its end.
    ///
    /// # Errors
    /// `old-backup-corrupt` when the tar is truncated; errors of the input.
    pub(crate) fn content(&mut self, most: u64) -> Result<&[u8]> {
        let most = usize::try_from(self.left.min(most)).unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(&[]);
        }
        let block = self.input.next(most)?;
        if block.is_empty() {
            return Err(corrupt("the archive is cut inside of a file", self.at));
        }
        self.at += block.len() as u64;
        self.left -= block.len() as u64;
        Ok(block)
    }

    fn expect(&mut self, size: u64) {
        (self.left, self.padding) = (size, size.next_multiple_of(BLOCK as u64) - size);
    }

    /// Skips the rest of the member's content and its padding.
    fn skip(&mut self) -> Result<()> {
        while !self.content(u64::MAX)?.is_empty() {}
        let mut padding = [0; BLOCK];
        let length = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0);
        self.fill(&mut padding[..length])
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            let found = self.input.next(buffer.len())?;
            if found.is_empty() {
                return Err(corrupt("the archive is cut", self.at));
            }
            let length = found.len();
            buffer[..length].copy_from_slice(found);
            buffer = &mut buffer[length..];
            self.at += length as u64;
        }
        Ok(())
    }

    /// Reads the data after the end, so that compression and encryption check their own end. Tar adds zeros there.
    fn drain(&mut self) -> Result<()> {
        loop {
            let found = self.input.next(usize::MAX)?;
            if found.iter().any(|b| *b != 0) {
                return Err(corrupt("something follows behind the end of the archive", self.at));
            }
            if found.is_empty() {
                return Ok(());
            }
            self.at += found.len() as u64;
        }
    }

    /// Returns the content of a member that describes the next one.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(corrupt(format!("a name or attribute of {size} bytes"), self.at));
        }
        self.expect(size);
        let mut text = vec![0; usize::try_from(size).unwrap_or(0)];
        self.left = 0;
        self.fill(&mut text)?;
        self.skip()?;
        Ok(text)
    }
}

fn corrupt(what: impl std::fmt::Display, at: u64) -> Error {
    Error::new(&codes::OLD_BACKUP_CORRUPT, format!("{what}, at byte {at} of the archive"))
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(text.iter().position(|b| *b == 0).unwrap_or(text.len()));
    text
}
