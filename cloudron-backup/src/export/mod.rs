//! A backup as one file: a tar, in clear or sealed, which anybody's tools read.
//!
//! - [`ExportFormat::Tar`]: `tar x`;
//! - [`ExportFormat::TarZstdAge`]: `age -d -i IDENTITY FILE | zstd -d | tar x`.

mod content;
mod file;
mod head;
mod resume;
mod sink;

use std::io::Write;
use std::path::PathBuf;

use cloudron_core::{BackupId, Error, Progress, Result, Secret, Unit};
use serde::Serialize;

pub(crate) use file::to_file;

use crate::bridge::{Blocking, Stop};
use crate::keys::Identity;
use crate::manifest::Kind;
use crate::pack::ChunkReader;
use crate::repository::config::Config;
use crate::restore::{Backup, load_index, namer};
use resume::Kept;
use sink::Sink;

/// The file that a backup is exported to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A plain tar (POSIX pax), in clear.
    Tar,
    /// The same, compressed by zstd and encrypted by age.
    TarZstdAge(SealTo),
}

impl ExportFormat {
    /// What the name of such a file ends in, without a dot in front.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarZstdAge(_) => "tar.zst.age",
        }
    }
}

/// Who can open a sealed export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SealTo {
    /// The repository's own identity.
    Repository,
    /// These age recipients, `age1…`, and the repository's own identity, which has it all anyway and by which an
    /// export that was cut off is resumed.
    Recipients(Vec<String>),
    /// Whoever has this passphrase, for which `age -d` asks: the backup key, for example.
    Passphrase(Secret),
}

/// What an export to a file did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ExportReport {
    /// The backup.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// The length of the tar in it, in bytes.
    pub tar_bytes: u64,
    /// How much of that tar an earlier export had left, which was not fetched again, in bytes.
    pub resumed_bytes: u64,
}

/// Writes a backup as a stream.
#[allow(clippy::too_many_arguments, reason = "what every operation gets, and the format")]
pub(crate) fn run<W: Write + Send>(
    store: &Blocking,
    config: &Config,
    identity: &Identity,
    id: &BackupId,
    format: &ExportFormat,
    mut output: W,
    progress: &Progress,
    stop: &Stop,
) -> Result<W> {
    let backup = Backup::open(store, config, identity, id, stop)?;
    let mut sink = Sink::new(Box::new(&mut output), format, identity, "(output)".into())?;
    write(&Source { store, config, identity, backup: &backup, progress, stop }, Kept::default(), &mut sink)?;
    sink.finish()?;
    Ok(output)
}

/// Where an export comes from.
struct Source<'a> {
    store: &'a Blocking,
    config: &'a Config,
    identity: &'a Identity,
    backup: &'a Backup,
    progress: &'a Progress,
    stop: &'a Stop,
}

/// Writes what is behind the kept part of the tar. Gives the length of the whole tar.
fn write(source: &Source<'_>, kept: Kept, sink: &mut Sink<'_>) -> Result<u64> {
    let Source { store, config, identity, backup, progress, stop } = *source;
    let index = load_index(store, config, identity, backup.summary.writer, progress, stop)?;
    let chunks = ChunkReader::new(store, &index, backup.key(), namer(identity)?);
    let task = progress.task("Exporting", Unit::Bytes, Some(backup.summary.bytes));
    let Kept { entries: done, mut at, mut partial, .. } = kept;
    let mut entries = backup.entries()?;
    let mut number = 0;
    while let Some(entry) = entries.next()? {
        stop.check()?;
        number += 1;
        if number <= done {
            task.advance(entry.size);
            continue;
        }
        let head = head::head(&entry);
        let size = content_size(&entry);
        let began = partial.take();
        if began.is_none() {
            sink.write(&head)?;
        }
        let write = || content::write(&entry, began, &chunks, sink, &task, stop);
        write().map_err(|e| e.while_doing(format!("writing {}", entry.path().display())))?;
        sink.write(&[0; head::BLOCK][..padding(size)])?;
        at += (head.len() + padding(size)) as u64 + size;
    }
    sink.write(&head::END)?;
    task.finish();
    Ok(at + head::END.len() as u64)
}

/// How long the content of an entry is in the tar, in bytes.
fn content_size(entry: &crate::manifest::Entry) -> u64 {
    if entry.kind == Kind::File { entry.size } else { 0 }
}

/// What fills the last block of a content of that length.
fn padding(size: u64) -> usize {
    let block = head::BLOCK as u64;
    usize::try_from(size.wrapping_neg() % block).unwrap_or(0)
}

/// A failure of the file that is written to.
fn output_failed(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::io(path, error)
}
