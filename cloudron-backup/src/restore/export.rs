//! A backup as one tar.

use std::io::{Read, Write};

use cloudron_core::{BackupId, Error, Progress, Result, Unit};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::file::slice;
use super::{Backup, load_index, namer};
use crate::backup::hash_zeros;
use crate::bridge::{Blocking, Stop};
use crate::chunk::ChunkId;
use crate::keys::Identity;
use crate::manifest::{Entry, Extent, Kind};
use crate::pack::{ChunkReader, same};
use crate::repository::config::Config;

/// Writes a backup as a tar. Names are relative to the root, as tar programs expect.
pub(crate) fn run<W: Write>(
    store: &Blocking,
    config: &Config,
    identity: &Identity,
    id: &BackupId,
    output: W,
    progress: &Progress,
    stop: &Stop,
) -> Result<W> {
    let backup = Backup::open(store, config, identity, id, stop)?;
    let index = load_index(store, config, identity, progress, stop)?;
    let chunks = ChunkReader::new(store, &index, backup.key(), namer(identity)?);
    let task = progress.task("Exporting", Unit::Bytes, Some(backup.summary.bytes));
    let mut tar = Builder::new(output);
    let mut entries = backup.entries()?;
    while let Some(entry) = entries.next()? {
        stop.check()?;
        append(&mut tar, &entry, &chunks, stop)
            .map_err(|e| e.while_doing(format!("writing {}", entry.path().display())))?;
        task.advance(entry.size);
    }
    let mut output = tar.into_inner().map_err(|e| Error::io("(output)", e))?;
    output.flush().map_err(|e| Error::io("(output)", e))?;
    task.finish();
    Ok(output)
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    entry: &Entry,
    chunks: &ChunkReader<'_>,
    stop: &Stop,
) -> Result<()> {
    let failed = |e| Error::io("(output)", e);
    let path = entry.path();
    let path = path.strip_prefix("/").unwrap_or(&path);
    let path = if path.as_os_str().is_empty() { std::path::Path::new(".") } else { path };
    let mut header = header(entry);
    tar.append_pax_extensions(pax(entry).iter().map(|(k, v)| (k.as_str(), v.as_slice()))).map_err(failed)?;
    match entry.kind {
        Kind::Symlink => tar.append_link(&mut header, path, entry.target_path()).map_err(failed),
        Kind::Hardlink => {
            let target = entry.target_path();
            tar.append_link(&mut header, path, target.strip_prefix("/").unwrap_or(&target)).map_err(failed)
        }
        Kind::File => {
            let mut content = Content::new(entry, chunks, stop);
            let appended = tar.append_data(&mut header, path, &mut content);
            match content.failure.take() {
                Some(cause) => Err(cause),
                None => appended.map_err(failed),
            }
        }
        _ => tar.append_data(&mut header, path, std::io::empty()).map_err(failed),
    }
}

fn header(entry: &Entry) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(match entry.kind {
        Kind::Dir => EntryType::Directory,
        Kind::Symlink => EntryType::Symlink,
        Kind::Hardlink => EntryType::Link,
        Kind::Fifo => EntryType::Fifo,
        Kind::Block => EntryType::Block,
        Kind::Char => EntryType::Char,
        Kind::File | Kind::End => EntryType::Regular,
    });
    header.set_mode(entry.mode);
    header.set_uid(entry.uid.into());
    header.set_gid(entry.gid.into());
    header.set_mtime(u64::try_from(entry.mtime.0).unwrap_or(0));
    header.set_size(entry.size);
    // A name that does not fit stays out: the number counts.
    let _ = header.set_username(entry.user.as_deref().unwrap_or_default());
    let _ = header.set_groupname(entry.group.as_deref().unwrap_or_default());
    if matches!(entry.kind, Kind::Block | Kind::Char) {
        let _ = header.set_device_major(entry.rdev.0).and_then(|()| header.set_device_minor(entry.rdev.1));
    }
    header
}

/// What the old header has no room for: times to the nanosecond, extended attributes.
fn pax(entry: &Entry) -> Vec<(String, Vec<u8>)> {
    let mut records = Vec::new();
    if entry.kind == Kind::Hardlink {
        return records;
    }
    let (seconds, nanos) = entry.mtime;
    if nanos != 0 || seconds < 0 {
        let time = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let (sign, time) = (if time < 0 { "-" } else { "" }, time.unsigned_abs());
        let text = format!("{sign}{}.{:09}", time / 1_000_000_000, time % 1_000_000_000);
        records.push(("mtime".to_owned(), text.into_bytes()));
    }
    for (name, value) in entry.xattrs() {
        records.push((format!("SCHILY.xattr.{name}"), value));
    }
    records
}

/// The content of a file, checked at its end.
struct Content<'a> {
    entry: &'a Entry,
    chunks: &'a ChunkReader<'a>,
    stop: &'a Stop,
    next: usize,
    /// How much of the extent was given.
    given: u64,
    hash: Sha256,
    failure: Option<Error>,
}

impl<'a> Content<'a> {
    fn new(entry: &'a Entry, chunks: &'a ChunkReader<'a>, stop: &'a Stop) -> Self {
        Self { entry, chunks, stop, next: 0, given: 0, hash: Sha256::new(), failure: None }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.stop.check()?;
        let Some(extent) = self.entry.extents.get(self.next) else {
            if Some(ChunkId(self.hash.clone().finalize().into())) == self.entry.sha256 {
                return Ok(0);
            }
            let text = "the content does not have the hash that the backup says";
            return Err(Error::new(&crate::codes::OBJECT_CORRUPT, text));
        };
        let left = extent.length() - self.given;
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..length];
        match extent {
            Extent::Hole(_) => {
                buffer.fill(0);
                hash_zeros(&mut self.hash, length as u64);
            }
            Extent::Data { chunk, length: whole, offset } => {
                let content = self.chunks.chunk(chunk)?;
                let part = slice(&content, *offset, *whole)?;
                let from = usize::try_from(self.given).unwrap_or(usize::MAX);
                buffer.copy_from_slice(&part[from..from + length]);
                self.hash.update(&*buffer);
            }
        }
        self.given += length as u64;
        if self.given == extent.length() {
            (self.next, self.given) = (self.next + 1, 0);
        }
        Ok(length)
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.fill(buffer).map_err(|e| {
            let outer = std::io::Error::other(e.to_string());
            self.failure.get_or_insert(same(&e));
            outer
        })
    }
}
