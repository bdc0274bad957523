//! The steps that create a machine, in order. One list serves a run, a dry run and an undo.

use std::sync::Arc;
use std::time::Duration;

use cloudron_api::command::{STDIN, Uninstall};
use cloudron_api::install::InstallRequest;
use cloudron_api::restore::RestoreRequest;
use cloudron_api::{ActivateRequest, BoxCommand};
use cloudron_core::{Domain, Error, Result, Secret, codes as core_codes};
use cloudron_provision::CloudProvider;
use cloudron_provision::ssh::port::Move;
use cloudron_provision::steps::ready::{Health, InstallServer, MoveSsh, PlaceProgram, Restore, StartServer};
use cloudron_provision::steps::{Context, Step};

use super::cloud::{after_machine, on_machine};
use super::copy::CopyRepository;
use super::script::Script;
use super::steps::{Activate, Answers, Remember};
use crate::access::SSH_PORT;
use crate::manager::Manager;
use crate::program::Place;

/// The inputs of the steps. A field that is `None` is not part of the run.
pub(super) struct Recipe {
    pub manager: Manager,
    pub domain: Domain,
    pub provider: Arc<dyn CloudProvider>,
    /// The steps directly after the one in which a cloud makes the machine.
    pub after_machine: Vec<Arc<dyn Step>>,
    pub program: PlaceProgram,
    pub place: Place,
    pub install: Install,
    pub copy: Option<CopyRepository>,
    pub restore: Option<Restored>,
    pub move_ssh: bool,
    pub owner: Option<ActivateRequest>,
    pub dns: Option<Arc<dyn Step>>,
    pub remember: Remember,
}

/// Inputs of the server's installation.
#[derive(Default)]
pub(super) struct Install {
    /// The install request without the run ID. `None` in a plan, which makes nothing.
    pub request: Option<InstallRequest>,
    /// ID of the repository that the run makes. It is removed with the server while nothing is stored in it.
    pub made: Option<String>,
    /// Location of the backups, for display.
    pub backups: String,
    /// The script that is run in place of the installer.
    pub script: Option<Script>,
}

/// Inputs of the restore step.
#[derive(Default)]
pub(super) struct Restored {
    /// The restore request. `None` in a plan, which makes nothing.
    pub request: Option<RestoreRequest>,
    /// The backup and its location, for display.
    pub shown: String,
}

impl Recipe {
    /// Returns all steps in order.
    pub(super) fn steps(self) -> Result<Vec<Arc<dyn Step>>> {
        let (place, provider) = (&self.place, &*self.provider);
        let mut steps = provider.steps(self.domain.as_str());
        after_machine(&mut steps, self.after_machine);
        let mut push = |step: Arc<dyn Step>| steps.push(on_machine(provider, step));
        push(Arc::new(self.program));
        push(Arc::new(server(place, &self.domain, self.install)));
        if let Some(copy) = self.copy {
            push(Arc::new(copy));
        }
        if let Some(restored) = self.restore {
            push(Arc::new(restore(place, restored)?));
        }
        let (start, stop) = (place.argv(&BoxCommand::Start), place.argv(&BoxCommand::Stop));
        push(Arc::new(StartServer::new(start, stop)));
        if self.move_ssh {
            push(Arc::new(MoveSsh::new(Move::to(SSH_PORT))));
        }
        let (manager, domain) = (self.manager, self.domain);
        let probe = Answers { manager: manager.clone(), place: place.clone(), domain: domain.clone() };
        push(Arc::new(Health::new(Arc::new(probe), Duration::from_secs(60))));
        if let Some(owner) = self.owner {
            push(Arc::new(Activate { manager, owner, place: place.clone(), domain }));
        }
        steps.extend(self.dns);
        steps.push(Arc::new(self.remember));
        Ok(steps)
    }
}

/// Returns the step that installs the server. Undoing it keeps the backups, except an unused repository that
/// the run made.
fn server(place: &Place, domain: &Domain, install: Install) -> InstallServer {
    let Install { request, made, backups, script } = install;
    let fill = move |context: &Context| {
        let Some(request) = &request else { return Err(nothing_made()) };
        json(&InstallRequest { run: context.run(), ..request.clone() })
    };
    let uninstall = Uninstall { unused_repository: made, ..Uninstall::keeping_backups() };
    let step = InstallServer::new(place.argv(&BoxCommand::Install(STDIN)), fill)
        .uninstall(place.argv(&BoxCommand::Uninstall(uninstall)))
        .record(["caPem", "port", "version"]);
    let by = script.as_ref().map(|script| format!(", by {script}")).unwrap_or_default();
    let step = step.by_script(script.and_then(|script| script.on_machine));
    match backups.is_empty() {
        true => step,
        false => step.described(format!("Install the server for {domain} with its backups {backups}{by}")),
    }
}

fn restore(place: &Place, restored: Restored) -> Result<Restore> {
    let request = restored.request.as_ref().map_or_else(|| Ok(Secret::new("{}")), json)?;
    let step = Restore::new(place.argv(&BoxCommand::Restore(STDIN)), request);
    Ok(match restored.shown.is_empty() {
        true => step,
        false => step.described(format!("Restore the backup {}", restored.shown)),
    })
}

fn json(request: &impl serde::Serialize) -> Result<Secret> {
    serde_json::to_string(request)
        .map(Secret::new)
        .map_err(|e| Error::new(&core_codes::FAILED, format!("the request is not JSON: {e}")))
}

/// Returns the error of a step that is run forward without its inputs.
pub(super) fn nothing_made() -> Error {
    Error::new(&core_codes::FAILED, "a run that is undone does not go forward")
}
