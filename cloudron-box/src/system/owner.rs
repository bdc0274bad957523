//! The user identity for accessing the server's files.
//!
//! The server's user can change its files at any time, for example replace one by a link to a file of root's.
//! So root accesses nothing in the state folder itself. Work there is done with the identity of its owner,
//! who gains nothing by such a link.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::{Error, Layout, Result};

/// A user and group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owner {
    /// Returns the owner of a file or folder. Links are not followed.
    fn of(path: &std::path::Path) -> std::io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(Self { uid: found.uid(), gid: found.gid() })
    }
}

/// Returns the owner of the state, if this process is root and the owner is another user.
///
/// # Errors
/// `permission` if the state folder is a link; file errors.
pub(crate) fn other_owner(layout: &Layout) -> Result<Option<Owner>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let state = layout.state();
    let found = match fs::symlink_metadata(state) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|e| Error::io(state, e))?,
    };
    if !found.is_dir() {
        let text = format!("{} is not a folder, and root does not follow links", state.display());
        return Err(Error::new(&cloudron_core::codes::PERMISSION, text));
    }
    // A killed restore has left the folder with root. The settings in it belong to the owner.
    let in_it = Owner::of(&layout.config()).ok();
    let owner = Some(Owner { uid: found.uid(), gid: found.gid() }).filter(|o| o.uid != 0).or(in_it);
    Ok(owner.filter(|o| o.uid != 0))
}

/// Returns the owner of the backup worker's state, if this process is root and the owner is another user.
///
/// # Errors
/// As [`other_owner`].
pub(crate) fn other_worker(layout: &Layout) -> Result<Option<Owner>> {
    if !layout.is_system() {
        return other_owner(layout);
    }
    let state = layout.worker_state();
    match Owner::of(&state) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        found => {
            let found = found.map_err(|e| Error::io(&state, e))?;
            Ok(Some(found).filter(|o| o.uid != 0 && rustix::process::geteuid().is_root()))
        }
    }
}

/// Runs `work` in the worker's state as its owner, like [`as_owner`].
///
/// # Errors
/// As [`as_owner`].
pub(crate) fn as_worker<T: Send>(layout: &Layout, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    match other_worker(layout)? {
        None => work(),
        Some(owner) => as_user(owner, work),
    }
}

/// Runs `work` in the state folder as its owner, if this process is root and the owner is another user. A
/// separate thread takes on the identity permanently, and ends with the work.
///
/// # Errors
/// Errors of the work, and `io` if the identity cannot be changed.
pub(crate) fn as_owner<T: Send>(layout: &Layout, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    match other_owner(layout)? {
        None => work(),
        Some(owner) => as_user(owner, work),
    }
}

/// Runs `work` as this user.
pub(crate) fn as_user<T: Send>(owner: Owner, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            // The groups are changed first: afterwards there is no permission to do so.
            set_thread_groups(&[gid])
                .and_then(|()| set_thread_res_gid(gid, gid, gid))
                .and_then(|()| set_thread_res_uid(uid, uid, uid))
                .map_err(|e| failed(owner, e.into()))?;
            work()
        });
        thread.join().unwrap_or_else(|_| {
            Err(Error::new(&cloudron_core::codes::FAILED, "the work in the state folder ended by a mistake"))
        })
    })
}

/// Switches to the state folder's owner for the rest of the process, if this process is root and the owner is
/// another user.
///
/// # Errors
/// Same as [`other_owner`], and `io` if the identity cannot be changed.
pub(crate) fn become_owner(layout: &Layout) -> Result<()> {
    other_owner(layout)?.map_or(Ok(()), become_user)
}

/// Switches to the owner of the worker's state, like [`become_owner`].
///
/// # Errors
/// As [`become_owner`].
pub(crate) fn become_worker(layout: &Layout) -> Result<()> {
    other_worker(layout)?.map_or(Ok(()), become_user)
}

fn become_user(owner: Owner) -> Result<()> {
    // SAFETY: the calls change the identity of this process and access no memory; the C library applies them
    // to every thread. All three IDs change, so that the change is permanent.
    let changed = unsafe {
        libc::setgroups(1, &owner.gid) == 0
            && libc::setresgid(owner.gid, owner.gid, owner.gid) == 0
            && libc::setresuid(owner.uid, owner.uid, owner.uid) == 0
    };
    if changed { Ok(()) } else { Err(failed(owner, std::io::Error::last_os_error())) }
}

fn failed(owner: Owner, error: std::io::Error) -> Error {
    Error::io(format!("user {}", owner.uid), error).while_doing("taking on the identity of the state's owner")
}
