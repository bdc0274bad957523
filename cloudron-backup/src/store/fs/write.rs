//! Atomic and durable writes: creates a temporary file in the same folder, syncs it, renames it and syncs the folder.
//!
//! `cloudron_core::atomic` is not enough: an existing object may have to be kept, and a lock shows which
//! temporary files are dead, so that the next run removes the rest of a killed backup at once.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cloudron_core::{Error, Result, atomic};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::claim;
use super::folder::Folder;
use crate::files::{PIECE, temporary};

/// The content to write.
pub(super) enum Payload {
    Memory(Bytes),
    File(PathBuf),
}

/// The treatment of an existing object.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Existing {
    Replace,
    Keep,
}

/// Writes a file below `root`. Returns false if it existed and was kept.
pub(super) fn write(root: &Path, file: &Path, payload: &Payload, existing: Existing) -> Result<bool> {
    if existing == Existing::Keep && file.exists() {
        return Ok(false);
    }
    let named = |e| Error::io(file, e);
    let folder = Folder::make(root, file.parent().unwrap_or(root))?;
    let (temporary, out) = temporary::create(&folder.inside()).map_err(named)?;
    folder.adopt(&out);
    let target = folder.inside().join(file.file_name().unwrap_or_default());
    let written = fill(&out, payload).and_then(|()| publish(&temporary, &target, existing));
    match written {
        Ok(true) => sync_parent(file).map(|()| true),
        other => {
            let _ = std::fs::remove_file(&temporary);
            other.map_err(named)
        }
    }
}

fn fill(mut out: &File, payload: &Payload) -> std::io::Result<()> {
    match payload {
        Payload::Memory(content) => content.chunks(PIECE).try_for_each(|piece| out.write_all(piece))?,
        Payload::File(source) => {
            std::io::copy(&mut File::open(source)?, &mut out)?;
        }
    }
    out.sync_all()
}

/// Gives a file its name, by the first method that the file system supports.
fn publish(temporary: &Path, file: &Path, existing: Existing) -> std::io::Result<bool> {
    if existing == Existing::Replace {
        return std::fs::rename(temporary, file).map(|()| true);
    }
    match renameat_with(CWD, temporary, CWD, file, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) => return Ok(false),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        Err(e) => return Err(e.into()),
    }
    // A hard link is just as atomic.
    match std::fs::hard_link(temporary, file) {
        Ok(()) => std::fs::remove_file(temporary).map(|()| true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        // File systems without hard links return different errors.
        Err(_) => claim::rename_new(temporary, file),
    }
}

/// Makes the name of a file survive a power failure.
pub(super) fn sync_parent(file: &Path) -> Result<()> {
    atomic::sync_folder(file.parent().unwrap_or(Path::new("/")))
}
