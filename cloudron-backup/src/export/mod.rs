//! Exports a backup as one file: a tar, plain or encrypted, readable with standard tools.
//!
//! - [`ExportFormat::Tar`]: `tar x`;
//! - [`ExportFormat::TarZstdAge`]: `age -d -i IDENTITY FILE | zstd -d | tar x`.

mod content;
mod file;
mod head;
mod report;
mod request;
mod resume;
mod sink;

use std::io::Write;

use cloudron_core::{BackupId, Error, Result, Unit};

pub(crate) use file::to_file;
pub use report::ExportReport;
pub use request::{ExportFormat, SealTo};

use crate::format::manifest::Kind;
use crate::format::pack::ChunkReader;
use crate::snapshot::{Backup, Reading, Session, namer};
use resume::Kept;
use sink::Sink;

/// Writes a backup to a stream.
pub(crate) fn run<W: Write + Send>(
    reading: &Reading<'_>,
    id: &BackupId,
    format: &ExportFormat,
    mut output: W,
) -> Result<W> {
    let backup = reading.backup(id)?;
    let mut sink = Sink::new(Box::new(&mut output), format, reading.identity, "(output)".into())?;
    write(&Source { reading, backup: &backup }, Kept::default(), &mut sink)?;
    sink.finish()?;
    Ok(output)
}

/// The source of an export.
struct Source<'a> {
    reading: &'a Reading<'a>,
    backup: &'a Backup,
}

/// Writes everything after the kept part of the tar. Returns the length of the whole tar.
fn write(source: &Source<'_>, kept: Kept, sink: &mut Sink<'_>) -> Result<u64> {
    let Source { reading, backup } = *source;
    let Session { store, progress, stop, .. } = **reading;
    let index = reading.index(backup.summary.writer)?;
    let chunks = ChunkReader::new(store, &index, backup.key(), namer(reading.identity)?);
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
        let content = content::Content { chunks: &chunks, task: &task, stop };
        content
            .write(&entry, began, sink)
            .map_err(|e| e.while_doing(format!("writing {}", entry.path().display())))?;
        sink.write(&[0; head::BLOCK][..padding(size)])?;
        at += (head.len() + padding(size)) as u64 + size;
    }
    sink.write(&head::END)?;
    task.finish();
    Ok(at + head::END.len() as u64)
}

/// Returns the length of an entry's content in the tar, in bytes.
fn content_size(entry: &crate::format::manifest::Entry) -> u64 {
    if entry.kind == Kind::File { entry.size } else { 0 }
}

/// Returns the length of the padding after content of this size, in bytes.
fn padding(size: u64) -> usize {
    let block = head::BLOCK as u64;
    usize::try_from(size.wrapping_neg() % block).unwrap_or(0)
}

/// Returns the error for a failure of the output file.
fn output_failed(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::io(path, error)
}
