//! Lookup of a name in the records of this computer.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use cloudron_backup::BackupStore;
use cloudron_core::{Domain, Error, Result};
use cloudron_provision::codes::RUN_BUSY;
use cloudron_provision::steps::RunSummary;

use crate::backups::folder_of;
use crate::codes;
use crate::kept::Kept;
use crate::manager::Manager;
use crate::owner_store::OwnerStore;
use crate::registry::{Copied, Machine, Reach};

/// A machine, or the backups of a destroyed one.
pub enum Found {
    /// The machine.
    Machine(Box<Machine>),
    /// The backups.
    Kept(Box<Kept>),
}

/// A run that ended before the machine was created.
pub struct Unfinished {
    /// The run.
    pub run: RunSummary,
    /// True if another process is working on it.
    pub busy: bool,
    /// Why its state cannot be determined.
    pub problem: Option<Error>,
}

impl Manager {
    /// Returns the record of a machine that is ready for use.
    ///
    /// # Errors
    /// `machine-unknown`, which for a destroyed machine names the location of its backups;
    /// `machine-destroying`; `run-busy`.
    pub fn machine(&self, domain: &Domain) -> Result<Machine> {
        match self.readable(domain)? {
            Found::Machine(machine) => Ok(*machine),
            Found::Kept(kept) => {
                self.refuse_unfinished(domain)?;
                let what = if kept.forgotten { "forgotten" } else { "destroyed" };
                let text = format!("{domain} was {what}; its backups are {}", kept.place());
                Err(Error::new(&codes::MACHINE_UNKNOWN, text))
            }
        }
    }

    /// Returns the machine, or the backups of a destroyed one, for work that only reads backups.
    ///
    /// # Errors
    /// Same as [`machine`](Self::machine).
    pub fn readable(&self, domain: &Domain) -> Result<Found> {
        if let Some(machine) = self.machines().find(domain)? {
            if machine.destroying {
                let text = format!("the destruction of {domain} was begun and did not end");
                return Err(Error::new(&codes::MACHINE_DESTROYING, text));
            }
            return Ok(Found::Machine(Box::new(machine)));
        }
        if let Some(kept) = self.kept().find(domain)? {
            return Ok(Found::Kept(Box::new(kept)));
        }
        self.refuse_unfinished(domain)?;
        self.machines().get(domain).map(|machine| Found::Machine(Box::new(machine)))
    }

    /// Refuses a machine whose creation is running or was interrupted.
    fn refuse_unfinished(&self, domain: &Domain) -> Result<()> {
        let runner = self.runner();
        // In this order: a run that ends in between has either the lock or no unfinished journal.
        runner.check_idle(domain.as_str())?;
        if runner.unfinished(Some(domain.as_str()))?.is_empty() {
            return Ok(());
        }
        let text = format!("the machine {domain} is not finished: its creation was interrupted");
        Err(Error::new(&codes::MACHINE_UNKNOWN, text))
    }

    /// Returns the runs that ended before the machine was finished.
    ///
    /// # Errors
    /// Errors of reading journals.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let runner = self.runner();
        let known = |run: &RunSummary| {
            let domain = Domain::parse_any(&run.spec.fqdn);
            domain.is_ok_and(|domain| self.machines().find(&domain).is_ok_and(|machine| machine.is_some()))
        };
        let mut runs = runner.unfinished(None)?;
        runs.retain(|run| !known(run));
        let state = |run: RunSummary| match runner.check_idle(&run.spec.fqdn) {
            Ok(()) => Unfinished { run, busy: false, problem: None },
            Err(error) if error.is(&RUN_BUSY) => Unfinished { run, busy: true, problem: None },
            Err(error) => Unfinished { run, busy: false, problem: Some(error) },
        };
        Ok(runs.into_iter().map(state).collect())
    }

    /// Returns a machine's store with its owner's rights. A bucket is opened with the credentials of this
    /// computer, since the server's should not allow deletion; a folder is accessed through the machine.
    ///
    /// # Errors
    /// Errors of the store and of connecting to the machine.
    pub async fn owner_store(&self, machine: &Machine) -> Result<Arc<dyn BackupStore>> {
        if folder_of(&machine.store).is_none() {
            return self.open_store(&machine.store);
        }
        Ok(Arc::new(OwnerStore::new(self.client(machine).await?)))
    }

    /// Returns the address of a local machine's backups, also if the machine was destroyed.
    ///
    /// # Errors
    /// Errors of reading its record.
    pub fn local_store(&self, domain: &Domain) -> Result<String> {
        match self.machines().find(domain)?.filter(|m| matches!(m.reach, Reach::Local { .. })) {
            Some(machine) => Ok(machine.store),
            None => Ok(self.state().local_store(domain).to_string_lossy().into_owned()),
        }
    }

    /// Records that this folder holds a copy of a machine's whole repository.
    ///
    /// # Errors
    /// Errors of writing the machine's record.
    pub fn remember_copy(&self, domain: &Domain, folder: &Path) -> Result<()> {
        let Some(mut machine) = self.machines().find(domain)? else { return Ok(()) };
        let place = std::path::absolute(folder).map_err(|e| Error::io(folder, e))?;
        machine.copied = Some(Copied { place, time: SystemTime::now() });
        self.machines().put(&machine)
    }
}
