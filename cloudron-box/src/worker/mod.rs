//! The backup worker: all that needs the backup store, its keys, or the right to read every file.
//!
//! On a machine of its own it is a unit with a user of its own, which systemd starts by its socket and which ends when
//! nobody asks. Below one folder it is a part of the server's process. Both answer by the same [protocol], so
//! that they are the same code.

mod backup;
mod client;
mod hooks;
mod listen;
mod progress;
mod protocol;
mod serve;
mod store;
mod stream;

pub(crate) use client::Client;
pub(crate) use listen::run;
pub(crate) use protocol::{HookEnd, Made, Said, Working};

use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Clock, SystemClock};

use crate::db::{Db, blocking, includes};
use crate::settings::WorkerSettings;
use crate::{Include, Layout, Result};

/// Time limit of a hook command.
pub(crate) const HOOK_LIMIT: Duration = Duration::from_secs(3600);

/// The worker of one server.
pub(crate) struct Worker {
    pub(crate) layout: Layout,
    pub(crate) settings: WorkerSettings,
    pub(crate) folders: Folders,
    pub(crate) clock: Arc<dyn Clock>,
    /// Time limit of a hook command.
    pub(crate) hook_limit: Duration,
}

/// Where the included folders are listed.
pub(crate) enum Folders {
    /// In the server's database, which is in the hands of the same user.
    Database(Db),
    /// In the file of root, which the interface cannot change.
    RootsList,
}

impl Worker {
    /// Returns the worker of a machine of its own.
    ///
    /// # Errors
    /// `machine-missing`, `config-corrupt`.
    pub(crate) fn of_system(layout: &Layout) -> Result<Self> {
        Ok(Self {
            layout: layout.clone(),
            settings: WorkerSettings::require(layout)?,
            folders: Folders::RootsList,
            clock: Arc::new(SystemClock),
            hook_limit: HOOK_LIMIT,
        })
    }

    async fn included(&self) -> Result<Vec<Include>> {
        match &self.folders {
            Folders::Database(db) => db.read_async(includes::list).await,
            Folders::RootsList => {
                let layout = self.layout.clone();
                blocking(move || crate::include::roots_list(&layout)).await
            }
        }
    }
}
