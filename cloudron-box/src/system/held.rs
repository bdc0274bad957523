//! Protection against changes by the server's user while root restores.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid, fchown, fstat, openat, statat};
use sha2::{Digest, Sha256};

use crate::system::files;
use crate::system::owner::Owner;
use crate::{Error, Layout, Result};

/// The state folder while it belongs to root: its user can neither rename its content nor access it by path.
/// It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    folder: OwnedFd,
    owner: Owner,
}

impl Held {
    /// Takes the folder. The data folder in it must not be a link.
    ///
    /// # Errors
    /// File errors.
    pub(crate) fn take(layout: &Layout, owner: Owner) -> Result<Self> {
        let failed = |e: rustix::io::Errno| Error::io(layout.state(), e.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(CWD, layout.state(), flags, Mode::empty()).map_err(failed)?;
        let held = Self { folder, owner };
        held.give(Owner { uid: 0, gid: 0 }).map_err(failed)?;
        let data = layout.data();
        let name = data.file_name().unwrap_or(data.as_os_str());
        let found = statat(&held.folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        let found = found.map_err(|e| Error::io(&data, e.into()))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            let text = format!("{} is not a folder, and root does not follow links", data.display());
            return Err(Error::new(&cloudron_core::codes::PERMISSION, text));
        }
        Ok(held)
    }

    fn give(&self, owner: Owner) -> rustix::io::Result<()> {
        fchown(&self.folder, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = self.give(self.owner) {
            tracing::error!(%error, "The state folder could not be given back to its user");
        }
    }
}

/// Gives the state folder back after a restore was killed.
///
/// # Errors
/// File errors.
pub(crate) fn give_back(layout: &Layout, owner: Owner) -> Result<()> {
    let failed = |e: rustix::io::Errno| Error::io(layout.state(), e.into());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, layout.state(), flags, Mode::empty()).map_err(failed)?;
    if fstat(&folder).map_err(failed)?.st_uid == 0 {
        Held { folder, owner }.give(owner).map_err(failed)?;
    }
    Ok(())
}

/// A folder owned by root for restored files before their owner gets them. Removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Staged(PathBuf);

impl Staged {
    /// Creates the folder, empty.
    ///
    /// # Errors
    /// File errors.
    pub(crate) fn new(layout: &Layout) -> Result<Self> {
        let name = hex::encode(&Sha256::digest(layout.state().as_os_str().as_encoded_bytes())[..8]);
        let path = Path::new("/var/lib").join(format!("cloudron-restore-{name}"));
        files::remove_folder(&path)?;
        files::private_folder(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = files::remove_folder(&self.0) {
            tracing::warn!(%error, "What was restored first could not be removed");
        }
    }
}
