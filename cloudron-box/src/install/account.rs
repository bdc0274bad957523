//! The system users that the server runs as.

use std::path::Path;

use crate::layout::{USER, WORKER_USER};
use crate::system::command::command;
use crate::system::owner::Owner;
use crate::{Error, Layout, Result, codes};

/// The users of a machine of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Users {
    pub(super) interface: Owner,
    pub(super) worker: Owner,
}

/// Creates the users on a machine of its own, and returns them. Returns `None` for a local machine.
pub(super) fn prepare(layout: &Layout) -> Result<Option<Users>> {
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
    let interface = made(USER, layout.state())?;
    Ok(Some(Users { interface, worker: made(WORKER_USER, &layout.worker_state())? }))
}

fn made(user: &str, home: &Path) -> Result<Owner> {
    if let Some(owner) = find(user) {
        return Ok(owner);
    }
    let (home, shell) = (home.display().to_string(), "/usr/sbin/nologin");
    command(
        "useradd",
        &["--system", "--user-group", "--no-create-home", "--home-dir", &home, "--shell", shell, user],
    )?;
    find(user).ok_or_else(|| Error::new(&codes::INSTALL_COMMAND, format!("useradd made no user {user}")))
}

fn find(user: &str) -> Option<Owner> {
    let number = |what: &str| command("id", &[what, user]).ok()?.trim().parse().ok();
    Some(Owner { uid: number("-u")?, gid: number("-g")? })
}

/// Deletes the users.
pub(super) fn remove() -> Result<()> {
    for user in [USER, WORKER_USER] {
        if find(user).is_none() {
            continue;
        }
        // A command of an interrupted run may still run as this user, and a concurrent removal may be faster.
        match command("userdel", &["--force", user]) {
            Err(error) if find(user).is_some() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
