//! The system user that the server runs as.

use std::path::Path;

use crate::layout::USER;
use crate::system::command::command;
use crate::system::owner::Owner;
use crate::{Error, Layout, Result, codes};

/// Creates the user on a machine of its own, and returns it. Returns `None` for a local machine.
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

/// Deletes the user.
pub(super) fn remove() -> Result<()> {
    if find().is_none() {
        return Ok(());
    }
    // A command of an interrupted run may still run as this user, and a concurrent removal may be faster.
    match command("userdel", &["--force", USER]) {
        Err(error) if find().is_some() => Err(error),
        _ => Ok(()),
    }
}
