//! Resuming an interrupted run.

use cloudron_core::{Domain, Error, Result, codes as core_codes};
use cloudron_provision::steps::{Journal, Outputs};

use super::known;
use super::repository::Remembered;
use crate::clouds::CloudSettings;
use crate::manager::Manager;
use crate::outputs::{Contact, Installed, StepOutput};

/// An unfinished run that is resumed.
pub struct Begun {
    pub(super) run: String,
    /// The outputs recorded by its steps.
    pub(super) outputs: Outputs,
    /// The repository that the run started with.
    pub(super) repository: Option<Remembered>,
    /// The IDs of its steps.
    pub(super) plan: Vec<String>,
    /// What the machine is made of, at a cloud.
    pub(super) settings: Option<CloudSettings>,
    /// The SHA-256 of its setup script.
    pub(super) script: Option<String>,
    /// True if it was begun on another computer.
    pub(super) taken: bool,
}

impl Manager {
    /// Returns the run to resume, or `None` if `resume` is false, or if this computer has no journal of it and an account
    /// at a cloud is set, which is asked later. Refuses a name that is taken.
    ///
    /// # Errors
    /// `machine-known`, `run-exists`; `file-missing` if there is no run to resume.
    pub fn begun(&self, domain: &Domain, resume: bool) -> Result<Option<Begun>> {
        let runner = self.runner();
        runner.check_idle(domain.as_str())?;
        let open = runner.unfinished(Some(domain.as_str()))?.into_iter().next();
        let Some(run) = open.filter(|_| resume) else {
            if self.machines().find(domain)?.is_some() {
                return Err(known(domain));
            }
            runner.check_finished(domain.as_str())?;
            return match resume {
                // With an account at a cloud, the run is looked for there.
                _ if self.account().is_some() => Ok(None),
                false => Ok(None),
                true => {
                    let text = format!("no unfinished run of {domain} is known on this computer");
                    Err(Error::new(&core_codes::FILE_MISSING, text))
                }
            };
        };
        let state = Journal::read(&self.state().runs(), &run.run)?;
        let inputs = &run.spec.inputs;
        Ok(Some(Begun {
            repository: serde_json::from_value(inputs["repository"].clone()).ok(),
            plan: state.plan().to_vec(),
            settings: serde_json::from_value(inputs["settings"].clone()).ok(),
            script: inputs["setupScript"]["sha256"].as_str().map(str::to_owned),
            taken: inputs["taken"] == true,
            outputs: state.outputs(),
            run: run.run,
        }))
    }
}

impl Begun {
    /// Restores the choice of repository and backup with which the run was started.
    pub fn complete(&self, backup: &mut Option<String>, store: &mut Option<String>) {
        if let Some(begun) = self.repository.as_ref().map(|repository| &repository.options) {
            backup.clone_from(&begun.backup);
            store.clone_from(&begun.store);
        }
    }

    /// Returns true if the machine was reached, so that its host key and current SSH port are known.
    pub(super) fn has_met(&self) -> bool {
        self.outputs.contains_key(Contact::STEP)
    }

    /// Returns true if the server is installed.
    pub(super) fn has_server(&self) -> bool {
        self.outputs.contains_key(Installed::STEP)
    }
}
