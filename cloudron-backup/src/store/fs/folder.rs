//! Folders of a store: creates them, and sets the owner and mode of new files in them.
//!
//! New entries inherit two things from their folder. When root writes into the repository of another user,
//! that user owns the new files. In a folder with the set-group-id bit, the group gets the permissions that
//! the folder grants it.

use std::fs::{DirBuilder, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result, atomic};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, fstat};

/// The set-group-id bit, which shares a folder with its group.
const SET_GROUP_ID: u32 = 0o2000;

/// An open folder.
pub(super) struct Folder {
    path: PathBuf,
    open: File,
    owner: (u32, u32),
    mode: u32,
    /// True if the process is root and the folder belongs to another user.
    is_foreign: bool,
}

impl Folder {
    fn open(path: &Path) -> std::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        #[allow(clippy::cast_possible_wrap, reason = "these are the bits that the system takes")]
        let open = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
        let stat = fstat(&open)?;
        let is_foreign = stat.st_uid != 0 && rustix::process::geteuid().is_root();
        let (owner, mode) = ((stat.st_uid, stat.st_gid), stat.st_mode);
        Ok(Self { path: path.to_owned(), open, owner, mode, is_foreign })
    }

    /// Opens a folder of the store at `root`. Creates it and its parents if necessary, and syncs each into
    /// its parent.
    pub(super) fn make(root: &Path, path: &Path) -> Result<Self> {
        let named = |e| Error::io(path, e);
        match Self::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            opened => return opened.map_err(named),
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Self::open(path).map_err(named);
        };
        let parent = Self::make(root, parent)?;
        let place = parent.inside().join(name);
        match DirBuilder::new().mode(0o700).create(&place) {
            Ok(()) => {
                let made = File::options()
                    .read(true)
                    .custom_flags((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed())
                    .open(&place);
                // The store's own folder and its parents belong to the user who created them.
                let is_inside = path != root && path.starts_with(root);
                made.map(|made| parent.settle(&made, 0o700, is_inside)).map_err(named)?;
                atomic::sync_folder(&parent.path)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(named(e)),
        }
        Self::open(&place).map(|folder| Self { path: path.to_owned(), ..folder }).map_err(named)
    }

    /// Returns a path to the folder. If its owner could replace the folder, the path goes through the open
    /// file descriptor and is valid as long as this value.
    pub(super) fn inside(&self) -> PathBuf {
        match self.is_foreign {
            true => Path::new("/proc/self/fd").join(self.open.as_raw_fd().to_string()),
            false => self.path.clone(),
        }
    }

    /// Sets the owner and mode of a file that was created in the folder.
    pub(super) fn adopt(&self, made: &File) {
        self.settle(made, 0o600, true);
    }

    /// Sets owner and mode. Errors are ignored: the file then stays private.
    fn settle(&self, made: &File, own: u32, hand_over: bool) {
        if self.is_foreign && hand_over {
            let (uid, gid) = self.owner;
            let _ = fchown(made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        }
        if self.mode & SET_GROUP_ID != 0 {
            let shared = self.mode & (own >> 3);
            // Subfolders inherit the bit.
            let bit = if own & 0o100 != 0 { SET_GROUP_ID } else { 0 };
            let _ = fchmod(made, Mode::from_raw_mode(own | shared | bit));
        }
    }
}
