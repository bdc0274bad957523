//! Backups of a destroyed machine, read and removed without a server.

use std::sync::Arc;

use cloudron_backup::Repository;
use cloudron_core::Result;
use cloudron_provision::facts::Facts;
use cloudron_provision::local::Local;
use cloudron_provision::steps::Journal;

use super::{Folder, RemoteFolder, folder_of};
use crate::access::{LIMIT, SSH_PORT, pinned};
use crate::kept::Kept;
use crate::manager::Manager;
use crate::outputs::{Contact, StepOutput};
use crate::registry::{Machine, Reach};

impl Manager {
    /// Connects to the folder or bucket with the backups.
    pub(crate) async fn kept_folder(&self, kept: &Kept) -> Result<Folder> {
        match (folder_of(&kept.store), &kept.reach) {
            (Some(path), Reach::Generic(reach)) => {
                // SSH is on the port it had before the machine was created, unless the machine was only
                // forgotten.
                let ports = [reach.ssh_port, 22, SSH_PORT];
                let remote = self.connect_any(reach, &ports, pinned(reach)?, LIMIT).await?;
                Ok(Folder::Far(Arc::new(RemoteFolder::new(Arc::new(remote), path, kept.place()))))
            }
            _ => self.folder(&kept.store),
        }
    }

    /// Returns true if a server is installed on a forgotten machine.
    pub(crate) async fn has_server(&self, kept: &Kept) -> Result<bool> {
        match &kept.reach {
            Reach::Local { root } => Ok(Local::new(root).installed().is_some()),
            Reach::Generic(reach) => {
                let ports = [SSH_PORT, reach.ssh_port, 22];
                let remote = self.connect_any(reach, &ports, pinned(reach)?, LIMIT).await?;
                Ok(Facts::ask(&remote).await?.server.is_some())
            }
        }
    }

    /// Opens the repository of a destroyed machine for reading.
    ///
    /// # Errors
    /// Errors of connecting, and `repository-missing`.
    pub async fn kept_repository(&self, kept: &Kept) -> Result<Repository> {
        Repository::open(self.kept_folder(kept).await?.store()?).await
    }

    /// Returns the record of the backups of a machine that is being destroyed.
    pub(crate) fn kept_of(&self, machine: &Machine, forgotten: bool) -> Kept {
        let mut reach = machine.reach.clone();
        if let (Reach::Generic(ssh), false) = (&mut reach, forgotten) {
            ssh.ssh_port = self.port_before(machine).unwrap_or(22);
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

    /// Returns the SSH port before it was moved, as recorded by the run that created the machine.
    pub(crate) fn port_before(&self, machine: &Machine) -> Option<u16> {
        Contact::of(&Journal::read(&self.state().runs(), &machine.run).ok()?.outputs())?.port
    }
}
