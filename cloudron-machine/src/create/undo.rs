//! Taking back a run that was cut off, without what its creation needed: keys, backups, options.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cloudron_api::command::STDIN;
use cloudron_api::{BoxCommand, Layout};
use cloudron_core::{Cancel, Domain, Error, Result, Secret, Version, codes as core_codes};
use cloudron_provision::generic::Generic;
use cloudron_provision::local::Local;
use cloudron_provision::ssh::HostKeyPolicy;
use cloudron_provision::ssh::port::Move;
use cloudron_provision::steps::ready::{InstallServer, MoveSsh, PlaceProgram, StartServer};
use cloudron_provision::steps::{Check, Context, Journal, RunSummary, Step, Undo};
use cloudron_provision::{CloudProvider, Runner};
use serde_json::Value;

use super::generic::{SSH_PORT, program_paths};
use super::local::program_copy;
use super::repository::{self, Origin, Remembered};
use super::run::{this_program, uninstall};
use crate::backups::{self, Folder, folder_of};
use crate::commands::explain;
use crate::commands::machine::records::Records;
use crate::output::Output;
use crate::ssh;
use crate::state::{Dirs, Kept, Reach};
use crate::target::Place;

/// Undoes what the unfinished run made, in reverse order, and forgets the run. Gives where the backups are that it did
/// not make, once they are on the machine.
pub(in crate::commands::machine) async fn take_back(
    run: &RunSummary,
    records: Option<Records>,
    dirs: &Dirs,
    out: &Output,
    cancel: &Cancel,
) -> Result<Option<Kept>> {
    let domain = Domain::parse_any(&run.spec.fqdn)?;
    let reach: Reach = serde_json::from_value(run.spec.inputs.clone()).map_err(|e| {
        Error::new(&core_codes::FAILED, format!("the run {} does not say where its machine is: {e}", run.run))
    })?;
    let state = Journal::read(&dirs.runs(), &run.run)?;
    let remembered: Option<Remembered> = serde_json::from_value(run.spec.inputs["repository"].clone()).ok();
    let made = remembered.as_ref().filter(|r| r.origin == Origin::New);
    let runner = Runner::new(dirs.runs());
    if state.outputs().is_empty() && matches!(reach, Reach::Generic(_)) {
        // The machine was never reached, so nothing is on it.
        runner.abandon(&run.run)?;
    } else {
        let (provider, place, program) = parts(&reach, out)?;
        let records = records.map(Arc::new);
        let steps: Vec<Arc<dyn Step>> = state
            .plan()
            .iter()
            .map(|id| match (&**id, &records) {
                ("dns", Some(records)) => Ok(Arc::new(Dns(records.clone())) as Arc<dyn Step>),
                ("server", _) => Ok(Arc::new(server(&place, made)) as Arc<dyn Step>),
                _ => step(id, &place, &program, &provider, &domain),
            })
            .collect::<Result<_>>()?;
        let context = Context::new(domain.as_str(), provider)
            .progress(&out.progress())
            .cancelled_by(cancel)
            .knowing(explain::all());
        runner.rollback(&run.run, &steps, &context).await?;
    }
    repository::remove(&dirs.seed(&domain))?;
    if let Some(made) =
        made.filter(|made| matches!(reach, Reach::Local { .. }) || folder_of(&made.store).is_none())
    {
        backups::remove_unused(&Folder::of(&made.store)?, &made.id).await?;
    }
    Ok(remembered.filter(|r| r.origin != Origin::New).map(|r| Kept {
        schema: 1,
        fqdn: domain,
        reach: reach.met(&state.outputs()),
        store: r.store,
        since: SystemTime::now(),
        forgotten: false,
    }))
}

/// The step that installs the server, as far as undoing it goes.
fn server(place: &Place, made: Option<&Remembered>) -> InstallServer {
    let nothing_to_ask = |_: &Context| Ok(Secret::new("{}"));
    InstallServer::new(place.argv(&BoxCommand::Install(STDIN)), nothing_to_ask)
        .uninstall(uninstall(place, made.map(|made| &*made.id)))
}

/// Where the program is and where its link.
type ProgramPaths = (String, String);

fn parts(reach: &Reach, out: &Output) -> Result<(Arc<dyn CloudProvider>, Place, ProgramPaths)> {
    Ok(match reach {
        Reach::Local { root } => {
            let place = Place::rooted(root.clone());
            let paths = (program_copy(root), place.program().to_owned());
            (Arc::new(Local::new(root)), place, paths)
        }
        Reach::Generic(reach) => {
            let auth = ssh::auth(reach.ssh_key.as_deref(), out, true);
            // The run has recorded the host key, and nothing else is trusted.
            let provider = Generic::new(ssh::target(reach), auth, HostKeyPolicy::Pinned(Vec::new()));
            (Arc::new(provider.may_move_to(SSH_PORT)), Place::system(), program_paths(&Layout::system())?)
        }
    })
}

/// The step of that name as far as undoing it goes.
fn step(
    id: &str,
    place: &Place,
    (program, link): &ProgramPaths,
    provider: &Arc<dyn CloudProvider>,
    domain: &Domain,
) -> Result<Arc<dyn Step>> {
    Ok(match id {
        "program" => Arc::new(PlaceProgram::new(this_program()?, program).linked_from(link)),
        "start" => Arc::new(StartServer::new(place.argv(&BoxCommand::Start), place.argv(&BoxCommand::Stop))),
        "ssh-port" => Arc::new(MoveSsh::new(Move::to(SSH_PORT))),
        _ => match provider.steps(domain.as_str()).into_iter().find(|s| s.id() == id) {
            Some(step) => step,
            None => Arc::new(Nothing(known(id)?)),
        },
    })
}

/// The names of the steps that leave nothing on the machine which the others do not remove.
fn known(id: &str) -> Result<&'static str> {
    let names = ["store", "restore", "health", "setup", "dns", "record"];
    names.into_iter().find(|name| *name == id).ok_or_else(|| {
        let text =
            format!("the run has a step {id:?} that this version {} does not know", Version::current());
        Error::new(&core_codes::FAILED, text).with_hint("use the version of the program that began the run")
    })
}

/// The step that writes DNS records.
struct Dns(Arc<Records>);

#[async_trait]
impl Step for Dns {
    fn id(&self) -> &'static str {
        "dns"
    }

    fn plan(&self) -> String {
        "The DNS records".into()
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, _: &Context) -> Result<Value> {
        Err(not_forward())
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let outcome = self.0.take_back(&context.progress).await;
        Ok(outcome.stays().map_or(Undo::Undone, Undo::Kept))
    }
}

fn not_forward() -> Error {
    Error::new(&core_codes::FAILED, "a run that is taken back does not go forward")
}

/// A step that leaves nothing to undo.
struct Nothing(&'static str);

#[async_trait]
impl Step for Nothing {
    fn id(&self) -> &'static str {
        self.0
    }

    fn plan(&self) -> String {
        format!("The step {}", self.0)
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, _: &Context) -> Result<Value> {
        Err(not_forward())
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}
