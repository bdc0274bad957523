//! The system user that the server runs as, and what belongs to it.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use crate::layout::USER;
use crate::service::command;
use crate::{Error, Layout, Result, codes};

/// A user and group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owner {
    /// The owner of a file or folder.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let found = fs::metadata(path).map_err(|e| Error::io(path, e))?;
        Ok(Self { uid: found.uid(), gid: found.gid() })
    }
}

/// Makes the user on a machine of its own, and gives it. Elsewhere there is none.
pub(super) fn prepare(layout: &Layout) -> Result<Option<Owner>> {
    if !layout.is_system() {
        return Ok(None);
    }
    if !rustix::process::geteuid().is_root() {
        let text = "installing a server on this machine needs root";
        return Err(Error::new(&codes::INSTALL_UNSUPPORTED, text));
    }
    if !Path::new("/run/systemd/system").is_dir() {
        let text = "this machine was not booted with systemd, which runs the server";
        return Err(Error::new(&codes::INSTALL_UNSUPPORTED, text));
    }
    if let Some(owner) = find() {
        return Ok(Some(owner));
    }
    let home = layout.state().display().to_string();
    let shell = "/usr/sbin/nologin";
    command(
        "useradd",
        &["--system", "--user-group", "--no-create-home", "--home-dir", &home, "--shell", shell, USER],
    )?;
    find()
        .map(Some)
        .ok_or_else(|| Error::new(&codes::INSTALL_COMMAND, format!("useradd made no user {USER}")))
}

fn find() -> Option<Owner> {
    let number = |what: &str| command("id", &[what, USER]).ok()?.trim().parse().ok();
    Some(Owner { uid: number("-u")?, gid: number("-g")? })
}

/// Removes the user.
pub(super) fn remove() -> Result<()> {
    if find().is_some() {
        command("userdel", &[USER])?;
    }
    Ok(())
}

/// Gives the state to the server's user. What the data folder holds keeps its owners.
pub(super) fn give_state(layout: &Layout, owner: Owner) -> Result<()> {
    give(layout.state(), owner)?;
    for entry in fs::read_dir(layout.state()).map_err(|e| Error::io(layout.state(), e))? {
        let path = entry.map_err(|e| Error::io(layout.state(), e))?.path();
        if path == layout.data() { give(&path, owner)? } else { give_tree(&path, owner)? }
    }
    Ok(())
}

/// Gives a file or folder with all it holds to a user. Links are given themselves and not followed.
pub(crate) fn give_tree(path: &Path, owner: Owner) -> Result<()> {
    let found = fs::symlink_metadata(path).map_err(|e| Error::io(path, e))?;
    if (found.uid(), found.gid()) != (owner.uid, owner.gid) {
        give(path, owner)?;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(|e| Error::io(path, e))? {
            give_tree(&entry.map_err(|e| Error::io(path, e))?.path(), owner)?;
        }
    }
    Ok(())
}

fn give(path: &Path, owner: Owner) -> Result<()> {
    lchown(path, Some(owner.uid), Some(owner.gid)).map_err(|e| Error::io(path, e))
}
