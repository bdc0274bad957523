//! Whether the only backups of a machine are on its disk, which is removed with it.

use std::sync::Arc;
use std::time::Duration;

use cloudron_api::{BoxCommand, Description};
use cloudron_backup::BackupStore;
use cloudron_core::{Domain, Error, Result};
use cloudron_provision::Remote;
use cloudron_provision::cloud::{Item, Login, Patience};
use cloudron_provision::facts::Facts;

use crate::backups::{self, RemoteFolder, folder_of};
use crate::codes;
use crate::manager::Manager;
use crate::program::Place;
use crate::registry::{Machine, Reach};

/// How long to wait for a machine whose backups are looked for.
const PATIENCE: Duration = Duration::from_secs(20);

impl Manager {
    /// Refuses to remove a machine if the only backups are on its disk, or if it cannot be told.
    ///
    /// # Errors
    /// `backups-on-machine` with the detail `domain`, and `untold` if it cannot be told.
    pub(crate) async fn refuse_only_copy(&self, machine: &Machine) -> Result<()> {
        let (Reach::Generic(reach), Some(folder)) = (&machine.reach, folder_of(&machine.store)) else {
            return Ok(());
        };
        if !machine.has_only_copy() {
            return Ok(());
        }
        let found = async {
            let remote = self.connect(reach).await?;
            count(remote, folder, &machine.backups()).await
        };
        decide(&machine.fqdn, found.await)
    }

    /// As [`refuse_only_copy`](Self::refuse_only_copy), for a machine that this computer has no record of. Returns what
    /// its server says of itself, if there is one.
    pub(crate) async fn refuse_only_copy_of(
        &self,
        domain: &Domain,
        item: &Item,
        login: Login,
    ) -> Result<Option<Description>> {
        if item.is_going() || item.marks.keys.lasting.is_none() || item.addresses.is_empty() {
            // The disk is lost already; or no server is installed before the machine has a host key of its own.
            return Ok(None);
        }
        let said = self.describe(item, login).await;
        let (remote, said) = match said {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) => return decide(domain, Err(error)).map(|()| None),
        };
        if let Some(folder) = folder_of(&said.store) {
            decide(domain, count(remote, folder, "on the machine").await)?;
        }
        Ok(Some(said))
    }

    /// Asks the server of a machine for a description, if one is installed.
    pub(crate) async fn describe(
        &self,
        item: &Item,
        login: Login,
    ) -> Result<Option<(Arc<dyn Remote>, Description)>> {
        let login = login.waiting(Patience::of(PATIENCE));
        let remote: Arc<dyn Remote> = login.connect(&item.outputs()).await?;
        if Facts::ask(&*remote).await?.server.is_none() {
            return Ok(None);
        }
        let said = self.program(remote.clone(), Place::system()).call(&BoxCommand::Describe).await?;
        Ok(Some((remote, said)))
    }
}

/// Counts the backups in a folder of a machine.
async fn count(remote: Arc<dyn Remote>, folder: &str, shown: &str) -> Result<usize> {
    let store: Arc<dyn BackupStore> = Arc::new(RemoteFolder::new(remote, folder, shown));
    Ok(backups::look(&store).await?.map_or(0, |found| found.backups))
}

fn decide(domain: &Domain, found: Result<usize>) -> Result<()> {
    let refused =
        |text: String| Error::new(&codes::BACKUPS_ON_MACHINE, text).with_detail("domain", domain.as_str());
    match found {
        Ok(0) => Ok(()),
        Ok(1) => Err(refused(format!("the only backup of {domain} is on its disk"))),
        Ok(n) => Err(refused(format!("the only {n} backups of {domain} are on its disk"))),
        Err(error) => {
            let text =
                format!("it cannot be told whether the only backups of {domain} are on its disk: {error}");
            Err(refused(text).with_detail("untold", domain.as_str()).with_source(error))
        }
    }
}
