//! Exports to a file: writes a partial file beside it, which is renamed when complete.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cloudron_core::{BackupId, Error, Result};
use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use super::resume::{Kept, check};
use super::sink::{Sink, read_back};
use super::{ExportFormat, ExportReport, Source, output_failed, write};
use crate::codes;
use crate::keys::Identity;
use crate::snapshot::Reading;

/// The first line of every age file.
const AGE: &[u8] = b"age-encryption.org/v1\n";

/// Exports a backup to a file, or continues an interrupted export.
pub(crate) fn to_file(
    reading: &Reading<'_>,
    id: &BackupId,
    format: &ExportFormat,
    path: &Path,
) -> Result<ExportReport> {
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let backup = reading.backup(id)?;
    let source = Source { reading, backup: &backup };
    let mut part = Part::open(path)?;
    let tar = match fill(&source, format, &mut part) {
        Ok(tar) => tar,
        Err(e) => return Err(part.left(e)),
    };
    let (id, path, bytes) = (id.to_string(), path.to_owned(), part.publish(path)?);
    Ok(ExportReport { id, path, bytes, tar_bytes: tar.whole, resumed_bytes: tar.kept })
}

/// Lengths of the tar, in bytes.
struct TarLength {
    whole: u64,
    /// The length kept from an earlier export.
    kept: u64,
}

/// Completes the partial file.
fn fill(source: &Source<'_>, format: &ExportFormat, part: &mut Part) -> Result<TarLength> {
    let kept = look(source, format, part)?;
    let length = kept.bytes();
    // It may have been copied here.
    part.file.set_permissions(Permissions::from_mode(0o600)).map_err(|e| output_failed(&part.path, e))?;
    if matches!(format, ExportFormat::Tar) || length == 0 {
        // An encrypted file without content is started again: nothing can be appended to its header.
        part.file.set_len(length).map_err(|e| output_failed(&part.path, e))?;
        (&part.file).seek(SeekFrom::Start(length)).map_err(|e| output_failed(&part.path, e))?;
        let mut sink = Sink::new(Box::new(&part.file), format, source.reading.identity, part.path.clone())?;
        let whole = write(source, kept, &mut sink)?;
        sink.finish()?;
        return Ok(TarLength { whole, kept: length });
    }
    // No key may encrypt two different contents, so the existing content is copied to a new file.
    let new = part.beside()?;
    let output = new.try_clone().map_err(|e| output_failed(&part.path, e))?;
    let mut sink = Sink::new(Box::new(output), format, source.reading.identity, part.path.clone())?;
    copy(source, format, part, length, &mut sink)?;
    sink.flush()?;
    part.replace_by(new)?;
    let whole = write(source, kept, &mut sink)?;
    sink.finish()?;
    Ok(TarLength { whole, kept: length })
}

/// Determines how much of the partial file can be kept.
fn look(source: &Source<'_>, format: &ExportFormat, part: &Part) -> Result<Kept> {
    let file = &part.file;
    if file.metadata().map_err(|e| output_failed(&part.path, e))?.len() == 0 {
        return Ok(Kept::default());
    }
    if !matches!(format, ExportFormat::Tar) && !starts_like_age(part)? {
        return Err(part.foreign());
    }
    let Ok(mut tar) = part.tar(format, source.reading.identity) else {
        // Truncated inside of the header, or encrypted to others: its content is unknown.
        return Ok(Kept::default());
    };
    let (kept, damaged) = check(source, &mut tar)?;
    match damaged {
        Some(_) if kept.bytes() == 0 => Err(part.foreign()),
        Some(entry) => {
            let text = format!(
                "{} is not what this export writes from {entry} on: that is fetched again",
                part.path.display()
            );
            source.reading.progress.warn(text);
            Ok(kept)
        }
        None => Ok(kept),
    }
}

fn starts_like_age(part: &Part) -> Result<bool> {
    let mut start = Vec::new();
    let mut file = &part.file;
    file.seek(SeekFrom::Start(0)).map_err(|e| output_failed(&part.path, e))?;
    file.take(AGE.len() as u64).read_to_end(&mut start).map_err(|e| output_failed(&part.path, e))?;
    Ok(AGE.starts_with(&start))
}

/// Copies the start of the tar in the partial file, which was checked before.
fn copy(
    source: &Source<'_>,
    format: &ExportFormat,
    part: &Part,
    length: u64,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut tar = part.tar(format, source.reading.identity)?.take(length);
    let (mut buffer, mut copied) = (vec![0; 256 << 10], 0);
    loop {
        source.reading.stop.check()?;
        let read = tar.read(&mut buffer).map_err(|e| output_failed(&part.path, e))?;
        if read == 0 {
            break;
        }
        sink.write(&buffer[..read])?;
        copied += read as u64;
    }
    if copied == length {
        return Ok(());
    }
    let text = format!("{} was changed while it was read", part.path.display());
    Err(Error::new(&codes::EXPORT_PART, text))
}

fn exists(path: &Path) -> Error {
    Error::new(&codes::EXPORT_EXISTS, format!("{} exists already", path.display()))
        .with_hint("choose another name, or move the file away")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The file being written, locked. It stays if the export fails.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn open(target: &Path) -> Result<Self> {
        let path = with_ending(target, ".part");
        let file = open_private(&path, false)?;
        lock(&path, &file)?;
        let (meta, named) = (file.metadata(), path.symlink_metadata());
        let meta = meta.map_err(|e| output_failed(&path, e))?;
        if !meta.is_file() {
            return Err(exists(&path));
        }
        // The previous holder of the lock may have renamed the file meanwhile.
        if !named.is_ok_and(|n| (n.dev(), n.ino()) == (meta.dev(), meta.ino())) {
            return Err(busy(&path));
        }
        Ok(Self { path, file })
    }

    /// Returns the tar in it, from the start.
    fn tar<'a>(&'a self, format: &ExportFormat, identity: &Identity) -> Result<Box<dyn Read + 'a>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(|e| output_failed(&self.path, e))?;
        read_back(Box::new(BufReader::with_capacity(256 << 10, file)), format, identity)
    }

    /// Creates the file that is to replace it.
    fn beside(&self) -> Result<File> {
        let path = with_ending(&self.path, ".new");
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(output_failed(&path, e)),
            _ => {}
        }
        let file = open_private(&path, true)?;
        lock(&path, &file)?;
        Ok(file)
    }

    /// Replaces it with the new file.
    fn replace_by(&mut self, new: File) -> Result<()> {
        std::fs::rename(with_ending(&self.path, ".new"), &self.path)
            .map_err(|e| output_failed(&self.path, e))?;
        self.file = new;
        Ok(())
    }

    /// Returns the error for an existing file that does not come from an export of this backup.
    fn foreign(&self) -> Error {
        let text =
            format!("{} exists, and is not what an export of this backup has left", self.path.display());
        Error::new(&codes::EXPORT_EXISTS, text).with_hint("choose another name, or move the file away")
    }

    /// Returns the error that ended the export, with a hint.
    fn left(&self, error: Error) -> Error {
        let length = self.file.metadata().map_or(0, |m| m.len());
        if length == 0 {
            // There is nothing to continue from.
            let _ = std::fs::remove_file(&self.path);
            return error;
        }
        if error.is(&codes::EXPORT_EXISTS) {
            return error;
        }
        let resume =
            format!("what was written is kept in {}: the same export goes on there", self.path.display());
        let hint = match error.hint() {
            Some(hint) => format!("{hint}; {resume}"),
            None => resume,
        };
        error.with_hint(hint)
    }

    /// Makes it durable and renames it. Returns its size.
    fn publish(self, target: &Path) -> Result<u64> {
        let failed = |e: std::io::Error| output_failed(target, e);
        self.file.sync_all().map_err(failed)?;
        let size = self.file.metadata().map_err(failed)?.len();
        match renameat_with(CWD, &self.path, CWD, target, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(self.left(exists(target))),
            // The file system does not support it. A link never replaces a file either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                match std::fs::hard_link(&self.path, target) {
                    Ok(()) => std::fs::remove_file(&self.path).map_err(failed)?,
                    Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(exists(target)),
                    // No support for links either. The target was checked before.
                    Err(_) if target.symlink_metadata().is_err() => {
                        std::fs::rename(&self.path, target).map_err(failed)?;
                    }
                    Err(_) => return Err(exists(target)),
                }
            }
            Err(e) => return Err(failed(e.into())),
        }
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Not every file system can sync a folder; the file itself is durable.
        let _ = File::open(folder).and_then(|f| f.sync_all());
        Ok(size)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Unlocked explicitly, because a process just forked by another thread still has the file open, and
        // the lock with it.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn open_private(path: &Path, new: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).create_new(new).truncate(false).mode(0o600);
    // A fifo would block for ever, a link would lead to another file.
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    options.open(path).map_err(|e| output_failed(path, e))
}

fn lock(path: &Path, file: &File) -> Result<()> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        // Some network file systems have no locks; then no other process has one.
        Ok(()) | Err(Errno::NOSYS | Errno::NOTSUP | Errno::NOLCK) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(busy(path)),
        Err(e) => Err(output_failed(path, e.into())),
    }
}

fn busy(path: &Path) -> Error {
    Error::new(&codes::EXPORT_BUSY, format!("another export writes to {}", path.display()))
}
