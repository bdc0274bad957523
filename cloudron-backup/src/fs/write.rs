//! Atomic and durable writes: a temporary file in the same folder, synced, renamed, the folder synced.
//!
//! `cloudron_core::atomic` is not enough: an object may have to stay, and a lock tells at once which temporary
//! files are dead, so that what a killed backup left of a pack goes with the next.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cloudron_core::{Error, Result, atomic};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::files::{PIECE, temporary};

/// What is written.
pub(super) enum Payload {
    Memory(Bytes),
    File(PathBuf),
}

/// What happens to an object that is there already.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Existing {
    Replace,
    Keep,
}

/// Writes a file below `root`. False when there was one and it was kept.
pub(super) fn write(root: &Path, file: &Path, payload: &Payload, existing: Existing) -> Result<bool> {
    if existing == Existing::Keep && file.exists() {
        return Ok(false);
    }
    let folder = file.parent().unwrap_or(root);
    make_folder(folder)?;
    let (temporary, out) = temporary::create(folder).map_err(|e| Error::io(folder, e))?;
    let written = fill(&temporary, &out, payload).and_then(|()| publish(&temporary, file, existing));
    match written {
        Ok(true) => sync_parent(file).map(|()| true),
        other => {
            let _ = std::fs::remove_file(&temporary);
            other
        }
    }
}

fn fill(temporary: &Path, mut out: &File, payload: &Payload) -> Result<()> {
    let named = |e| Error::io(temporary, e);
    match payload {
        Payload::Memory(content) => {
            content.chunks(PIECE).try_for_each(|piece| out.write_all(piece)).map_err(named)?;
        }
        Payload::File(source) => {
            let mut source = File::open(source).map_err(|e| Error::io(source, e))?;
            std::io::copy(&mut source, &mut out).map_err(named)?;
        }
    }
    out.sync_all().map_err(named)
}

fn publish(temporary: &Path, file: &Path, existing: Existing) -> Result<bool> {
    let named = |e: std::io::Error| Error::io(file, e);
    if existing == Existing::Replace {
        return std::fs::rename(temporary, file).map(|()| true).map_err(named);
    }
    match renameat_with(CWD, temporary, CWD, file, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(true),
        Err(rustix::io::Errno::EXIST) => return Ok(false),
        // The file system cannot: a hard link gives the same promise.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {}
        Err(e) => return Err(named(e.into())),
    }
    match std::fs::hard_link(temporary, file) {
        Ok(()) => std::fs::remove_file(temporary).map(|()| true).map_err(named),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(named(e)),
    }
}

/// Makes a folder and its parents, each synced into its own parent.
fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => sync_parent(folder),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(e) => Err(Error::io(folder, e)),
    }
}

/// Makes the name of a file survive a power cut.
pub(super) fn sync_parent(file: &Path) -> Result<()> {
    atomic::sync_folder(file.parent().unwrap_or(Path::new("/")))
}
