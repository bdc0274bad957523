//! Folders on the way to what is restored: those above it that are not asked for themselves, and are missing.
//!
//! What the backup knows of them is restored with them, once everything in them is there. The others are made as `mkdir -p`
//! makes them; root gives them to the owner of the folder that they are made in, who could not use them otherwise.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cloudron_core::{Error, Result};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchown, fstat, mkdirat, openat};
use rustix::io::Errno;

use super::target::Places;
use crate::format::manifest::Entry;

/// Makes folders on the way, and remembers which.
#[derive(Debug)]
pub(super) struct Ways {
    /// What the backup says of folders above what was asked for, by their place.
    known: HashMap<PathBuf, Entry>,
    /// The places of what was asked for. Folders in it get what they have from the restore itself.
    wanted: Vec<PathBuf>,
    made: Mutex<BTreeSet<PathBuf>>,
    is_root: bool,
}

impl Ways {
    pub(super) fn new(places: &Places, parents: Vec<Entry>, is_root: bool) -> Self {
        let shown = |path: &Path| places.of(path).map(|place| places.show(&place)).ok();
        let known = parents.into_iter().filter_map(|entry| Some((shown(&entry.path())?, entry))).collect();
        let wanted = places.asked_for().filter_map(shown).collect();
        Self { known, wanted, made: Mutex::default(), is_root }
    }

    /// Makes a folder that the user named, and those above it.
    pub(super) fn make_all(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        self.make_all(above)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = openat(CWD, above, flags, Mode::empty()).map_err(|e| Error::io(above, e.into()))?;
        self.make(&above.into(), name, path)
    }

    /// Makes a folder in an open one. It is fine when it is there.
    pub(super) fn make(&self, above: &File, name: &OsStr, path: &Path) -> Result<()> {
        let is_known = self.known.contains_key(path);
        let is_private = is_known || self.wanted.iter().any(|wanted| path.starts_with(wanted));
        let mode = Mode::from_raw_mode(if is_private { 0o700 } else { 0o755 });
        match mkdirat(above, name, mode) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(()),
            Err(e) => return Err(Error::io(path, e.into())),
        }
        if is_known {
            self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        } else if self.is_root {
            hand_over(above, name).map_err(|e| Error::io(path, e.into()))?;
        }
        Ok(())
    }

    /// What the backup says of the folders that were made, the innermost first.
    pub(super) fn made(&self) -> Vec<&Entry> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        // A folder sorts before what is in it.
        made.iter().rev().filter_map(|path| self.known.get(path)).collect()
    }
}

/// Gives a folder to the owner of the one that it is in.
fn hand_over(above: &File, name: &OsStr) -> std::result::Result<(), Errno> {
    let owner = fstat(above)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(above, name, flags, Mode::empty())?;
    // Nothing but what root has made just now.
    if owner.st_uid == 0 || fstat(&folder)?.st_uid != 0 {
        return Ok(());
    }
    fchown(&folder, Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid)))
}
