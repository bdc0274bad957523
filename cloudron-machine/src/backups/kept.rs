//! The backups that a destroyed machine left, read and removed without a server.

use std::sync::Arc;

use cloudron_backup::Repository;
use cloudron_core::Result;
use cloudron_provision::facts::Facts;
use cloudron_provision::local::Local;
use cloudron_provision::steps::{Journal, Outputs};

use super::SSH_PORT;
use crate::backups::{Folder, RemoteFolder, folder_of};
use crate::output::Output;
use crate::ssh;
use crate::state::{Dirs, Kept, Machine, Reach};

/// Where the backups are, reached.
pub(super) async fn folder(kept: &Kept, out: &Output) -> Result<Folder> {
    match (folder_of(&kept.store), &kept.reach) {
        (Some(path), Reach::Generic(reach)) => {
            // SSH is back where it was before the machine was made, unless the machine was only forgotten.
            let ports = [reach.ssh_port, 22, SSH_PORT];
            let remote = ssh::connect_any(reach, &ports, ssh::pinned(reach)?, ssh::LIMIT, out).await?;
            Ok(Folder::Far(Arc::new(RemoteFolder::new(Arc::new(remote), path, kept.place()))))
        }
        _ => Folder::of(&kept.store),
    }
}

/// Whether a server is on the machine that was forgotten.
pub(super) async fn has_server(kept: &Kept, out: &Output) -> Result<bool> {
    match &kept.reach {
        Reach::Local { root } => Ok(Local::new(root).installed().is_some()),
        Reach::Generic(reach) => {
            let ports = [SSH_PORT, reach.ssh_port, 22];
            let remote = ssh::connect_any(reach, &ports, ssh::pinned(reach)?, ssh::LIMIT, out).await?;
            Ok(Facts::ask(&remote).await?.server.is_some())
        }
    }
}

/// The repository, for reading.
pub(super) async fn open(kept: &Kept, out: &Output) -> Result<Repository> {
    Repository::open(folder(kept, out).await?.store()?).await
}

/// What is remembered of the backups of a machine that is being destroyed.
pub(super) fn of(machine: &Machine, dirs: &Dirs, forgotten: bool) -> Kept {
    let mut reach = machine.reach.clone();
    if let (Reach::Generic(ssh), false) = (&mut reach, forgotten) {
        ssh.ssh_port = port_before(machine, dirs).unwrap_or(22);
    }
    Kept {
        schema: 1,
        fqdn: machine.fqdn.clone(),
        reach,
        store: machine.store.clone(),
        since: std::time::SystemTime::now(),
        forgotten,
    }
}

/// The port of SSH before it moved, as the run that made the machine recorded it.
pub(super) fn port_before(machine: &Machine, dirs: &Dirs) -> Option<u16> {
    let outputs: Outputs = Journal::read(&dirs.runs(), &machine.run).ok()?.outputs();
    outputs.get("first-contact")?["port"].as_u64().and_then(|port| u16::try_from(port).ok())
}
