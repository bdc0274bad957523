//! The system users that the server runs as.

use std::path::Path;

use crate::layout::{FRONT_USER, USER, WORKER_USER};
use crate::system::command::command;
use crate::system::owner::Owner;
use crate::{Error, Layout, Result, codes};

/// The users of a machine of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Users {
    pub(super) interface: Owner,
    pub(super) worker: Owner,
    pub(super) front: Owner,
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
    let worker = made(WORKER_USER, &layout.worker_state())?;
    let front = made(FRONT_USER, &layout.front_state().unwrap_or_default())?;
    Ok(Some(Users { interface, worker, front }))
}

/// Creates a user with a group of the same name, also where a run that was killed left one without the other.
fn made(user: &str, home: &Path) -> Result<Owner> {
    let grouped = has_group(user);
    if let Some(owner) = find(user) {
        if !grouped {
            command("groupadd", &["--system", "--gid", &owner.gid.to_string(), user])?;
        }
        return Ok(owner);
    }
    let (home, shell) = (home.display().to_string(), "/usr/sbin/nologin");
    let group: &[&str] = if grouped { &["--gid", user] } else { &["--user-group"] };
    let rest = ["--no-create-home", "--home-dir", &home, "--shell", shell, user];
    command("useradd", &[&["--system"], group, &rest].concat())?;
    find(user).ok_or_else(|| Error::new(&codes::INSTALL_COMMAND, format!("useradd made no user {user}")))
}

fn has_group(name: &str) -> bool {
    command("getent", &["group", name]).is_ok()
}

fn find(user: &str) -> Option<Owner> {
    let number = |what: &str| command("id", &[what, user]).ok()?.trim().parse().ok();
    Some(Owner { uid: number("-u")?, gid: number("-g")? })
}

/// Deletes the users.
pub(super) fn remove() -> Result<()> {
    for user in [USER, WORKER_USER, FRONT_USER] {
        // A command of an interrupted run may still run as this user, and a concurrent removal may be faster.
        match find(user).map(|_| command("userdel", &["--force", user])) {
            Some(Err(error)) if find(user).is_some() => return Err(error),
            _ => {}
        }
        if has_group(user) {
            match command("groupdel", &[user]) {
                Err(error) if has_group(user) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
