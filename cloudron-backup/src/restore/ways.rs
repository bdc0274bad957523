//! Missing parent folders of the restored paths, which are not requested themselves.
//!
//! Folders that the backup knows are restored with their metadata, after everything in them. Others are
//! created like `mkdir -p`; root gives them to the owner of the folder above, who could not use them otherwise.

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

/// Creates parent folders, and records which.
#[derive(Debug)]
pub(super) struct Ways {
    /// The backup's entries of folders above the requested paths, by their place.
    known: HashMap<PathBuf, Entry>,
    /// The places of the requested paths. The restore itself sets the metadata of folders in them.
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

    /// Creates a folder given by the user, and its parents.
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

    /// Creates a folder in an open one, unless it exists.
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

    /// Returns the backup's entries of the created folders, the innermost first.
    pub(super) fn made(&self) -> Vec<&Entry> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        // A folder sorts before its content.
        made.iter().rev().filter_map(|path| self.known.get(path)).collect()
    }
}

/// Gives a folder to the owner of its parent.
fn hand_over(above: &File, name: &OsStr) -> std::result::Result<(), Errno> {
    let owner = fstat(above)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(above, name, flags, Mode::empty())?;
    // Only folders that root has just created.
    if owner.st_uid == 0 || fstat(&folder)?.st_uid != 0 {
        return Ok(());
    }
    fchown(&folder, Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid)))
}
