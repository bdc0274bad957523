//! Connecting to a machine that this computer knows.

use std::path::Path;
use std::sync::Arc;

use cloudron_api::Status;
use cloudron_core::{Error, Result, codes};
use cloudron_provision::Remote;
use cloudron_provision::codes::PROGRAM_MISSING;
use cloudron_provision::local::LocalRemote;

use crate::ask::Nobody;
use crate::client::Client;
use crate::manager::Manager;
use crate::program::{Place, Program};
use crate::registry::{Machine, Reach};

impl Manager {
    /// Returns a manager that asks no questions, for example while many machines are queried.
    #[must_use]
    pub fn without_questions(&self) -> Self {
        self.clone().asking(Nobody)
    }

    /// Connects to the program on a machine.
    ///
    /// # Errors
    /// `program-missing` if the files of a local machine do not exist, and SSH errors.
    pub async fn reach(&self, machine: &Machine) -> Result<Program> {
        if let Reach::Local { root } = &machine.reach
            && !Path::new(Place::rooted(root.clone()).program()).exists()
        {
            let message = format!("the files of {} in {} are gone", machine.fqdn, root.display());
            return Err(Error::new(&PROGRAM_MISSING, message));
        }
        self.reach_at(&machine.reach).await
    }

    /// Asks servers what they are, all at once: one that does not answer does not hold up the others. Nobody is asked for
    /// anything.
    ///
    /// # Errors
    /// `failed` when asking one broke off.
    pub async fn ask_all(&self, machines: &[Machine]) -> Result<Vec<Result<Status>>> {
        let ask = |machine: &Machine| {
            let (manager, machine) = (self.without_questions(), machine.clone());
            tokio::spawn(async move { manager.client(&machine).await?.status().await })
        };
        let mut answers = Vec::new();
        for asked in machines.iter().map(ask).collect::<Vec<_>>() {
            let broke_off = |e| Error::new(&codes::FAILED, format!("asking a machine broke off: {e}"));
            answers.push(asked.await.map_err(broke_off)?);
        }
        Ok(answers)
    }

    /// Connects to the program on a machine at this address.
    ///
    /// # Errors
    /// SSH errors.
    pub async fn reach_at(&self, reach: &Reach) -> Result<Program> {
        Ok(match reach {
            Reach::Local { root } => {
                let remote: Arc<dyn Remote> = Arc::new(LocalRemote::new());
                self.program(remote, Place::rooted(root.clone()))
            }
            Reach::Generic(reach) => self.program(self.connect(reach).await?, Place::system()),
        })
    }

    /// Connects to a machine's API.
    ///
    /// # Errors
    /// Same as [`reach`](Self::reach).
    pub async fn client(&self, machine: &Machine) -> Result<Arc<Client>> {
        Client::new(self.reach(machine).await?, machine)
    }
}
