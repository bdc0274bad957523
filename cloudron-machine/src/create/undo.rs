//! Undoing an interrupted run without the inputs of its creation: keys, backups, options.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cloudron_core::{Domain, Error, Result, Version, codes as core_codes};
use cloudron_provision::CloudProvider;
use cloudron_provision::cloud::remove_all;
use cloudron_provision::generic::Generic;
use cloudron_provision::local::Local;
use cloudron_provision::ssh::HostKeyPolicy;
use cloudron_provision::steps::ready::PlaceProgram;
use cloudron_provision::steps::{Check, Context, Journal, RunState, RunSummary, Step, Undo};
use serde_json::Value;

use super::copy::CopyRepository;
use super::ready::{program_copy, program_paths};
use super::recipe::{Install, Recipe, Restored, nothing_made};
use super::repository::{self, Origin, Remembered};
use super::steps::Remember;
use crate::access::{self, SSH_PORT};
use crate::backups::{self, folder_of};
use crate::clouds::{CloudSettings, Opening, open};
use crate::dns::Removal;
use crate::kept::Kept;
use crate::manager::Manager;
use crate::program::Place;
use crate::registry::{CloudPlace, Reach};

/// The provider of a machine, where the program is on it, and the paths of the program and of the link to it.
type MachineOf = (Arc<dyn CloudProvider>, Place, (String, String));

impl Manager {
    /// Undoes an unfinished run in reverse order and removes its journal. Returns the location of backups
    /// that the run did not make, if they are on the machine.
    pub(crate) async fn undo(&self, run: &RunSummary, records: Option<Removal>) -> Result<Option<Kept>> {
        let domain = Domain::parse_any(&run.spec.fqdn)?;
        let reach: Reach = serde_json::from_value(run.spec.inputs.clone()).map_err(|e| {
            let text = format!("the run {} does not say where its machine is: {e}", run.run);
            Error::new(&core_codes::FAILED, text)
        })?;
        let state = Journal::read(&self.state().runs(), &run.run)?;
        let remembered: Option<Remembered> =
            serde_json::from_value(run.spec.inputs["repository"].clone()).ok();
        let made = remembered.as_ref().filter(|r| r.origin == Origin::New);
        if let Some(place) = reach.cloud() {
            self.undo_at_cloud((run, &domain, place), (&reach, made), records, &state).await?;
        } else if state.outputs().is_empty() && matches!(reach, Reach::Generic(_)) {
            // The machine was never reached, so nothing was changed on it.
            self.runner().abandon(&run.run)?;
        } else {
            let (provider, place, program) = self.machine_of(&reach)?;
            let recipe = self.recipe_of(&domain, &reach, (provider, place, program), made, records)?;
            self.take_back(run, recipe, &state).await?;
        }
        repository::remove(&self.state().seed(&domain))?;
        if let Some(made) =
            made.filter(|made| matches!(reach, Reach::Local { .. }) || folder_of(&made.store).is_none())
        {
            backups::remove_unused(&self.folder(&made.store)?, &made.id).await?;
        }
        let gone = |r: &Remembered| reach.cloud().is_some() && folder_of(&r.store).is_some();
        Ok(remembered.filter(|r| r.origin != Origin::New && !gone(r)).map(|r| Kept {
            schema: 1,
            fqdn: domain,
            reach: reach.clone().met(&state.outputs()),
            store: r.store,
            since: SystemTime::now(),
            forgotten: false,
        }))
    }

    /// Undoes a run on a machine that a cloud made or was to make. It needs no login, since the machine itself is removed.
    /// Afterwards, what the run took over from another computer is removed by its marks.
    async fn undo_at_cloud(
        &self,
        (run, domain, place): (&RunSummary, &Domain, &CloudPlace),
        (reach, made): (&Reach, Option<&Remembered>),
        records: Option<Removal>,
        state: &RunState,
    ) -> Result<()> {
        let settings: CloudSettings =
            serde_json::from_value(run.spec.inputs["settings"].clone()).map_err(|e| {
                let text = format!("the run {} does not say what it was to make: {e}", run.run);
                Error::new(&core_codes::FAILED, text)
            })?;
        let account = self.account_at(place, domain)?;
        let key = match reach {
            Reach::Generic(ssh) => ssh.ssh_key.as_deref(),
            Reach::Local { .. } => None,
        };
        let host = open(&account, Opening::new(&settings, self.login(&account, key)))?;
        let machine = (host.clone() as Arc<dyn CloudProvider>, Place::system(), program_paths()?);
        let recipe = self.recipe_of(domain, reach, machine, made, records)?;
        self.take_back(run, recipe, state).await?;
        remove_all(&*host, domain.as_str(), Some(&run.run), self.progress(), self.cancel()).await.map(drop)
    }

    /// Undoes the steps of a run.
    async fn take_back(&self, run: &RunSummary, recipe: Recipe, state: &RunState) -> Result<()> {
        let context = self.context(&run.spec.fqdn, recipe.provider.clone());
        let steps = of_plan(recipe.steps()?, state.plan())?;
        self.runner().rollback(&run.run, &steps, &context).await
    }

    /// Returns the provider of a machine that is there, and where the program is on it.
    fn machine_of(&self, reach: &Reach) -> Result<MachineOf> {
        Ok(match reach {
            Reach::Local { root } => {
                let place = Place::rooted(root.clone());
                let paths = (program_copy(root), place.program().to_owned());
                (Arc::new(Local::new(root)), place, paths)
            }
            Reach::Generic(reach) => {
                let auth = self.auth(reach.ssh_key.as_deref());
                // Only the host key recorded by the run is trusted.
                let provider = Generic::new(access::target(reach), auth, HostKeyPolicy::Pinned(Vec::new()));
                (Arc::new(provider.may_move_to(SSH_PORT)), Place::system(), program_paths()?)
            }
        })
    }

    /// Returns the recipe for all steps that a run on this machine can have made, as needed to undo them.
    fn recipe_of(
        &self,
        domain: &Domain,
        reach: &Reach,
        (provider, place, (program, link)): MachineOf,
        made: Option<&Remembered>,
        records: Option<Removal>,
    ) -> Result<Recipe> {
        let records = Arc::new(records);
        let remove =
            |id| Arc::new(RemoveRecords { id, records: records.clone(), gone: reach.cloud().is_some() });
        let after_machine: Vec<Arc<dyn Step>> = match reach.cloud() {
            Some(_) => vec![remove("dns-records"), Arc::new(WithMachine("reverse-names"))],
            None => Vec::new(),
        };
        let copy = CopyRepository {
            manager: self.clone(),
            place: place.clone(),
            repository: None,
            from: String::new(),
            folder: String::new(),
            shown: String::new(),
        };
        let remember = Remember {
            manager: self.clone(),
            place: place.clone(),
            domain: domain.clone(),
            origin: reach.clone(),
            store: String::new(),
            dns: None,
        };
        let owner = cloudron_api::ActivateRequest {
            email: String::new(),
            password: cloudron_core::Secret::new(""),
            username: None,
            display_name: None,
        };
        Ok(Recipe {
            manager: self.clone(),
            domain: domain.clone(),
            provider,
            program: PlaceProgram::new(self.own_program()?, program).linked_from(link),
            place,
            install: Install { made: made.map(|made| made.id.clone()), ..Install::default() },
            copy: Some(copy),
            restore: Some(Restored::default()),
            move_ssh: true,
            owner: Some(owner),
            after_machine,
            dns: Some(remove("dns")),
            remember,
        })
    }
}

/// Returns the steps of a run's plan, in order.
fn of_plan(all: Vec<Arc<dyn Step>>, plan: &[String]) -> Result<Vec<Arc<dyn Step>>> {
    let step = |id: &String| {
        all.iter().find(|step| step.id() == id).cloned().ok_or_else(|| {
            let text =
                format!("the run has a step {id:?} that this version {} does not know", Version::current());
            Error::new(&core_codes::FAILED, text)
                .with_hint("use the version of the program that began the run")
        })
    };
    plan.iter().map(step).collect()
}

/// A step whose effect goes with the machine.
struct WithMachine(&'static str);

#[async_trait]
impl Step for WithMachine {
    fn id(&self) -> &'static str {
        self.0
    }

    fn plan(&self) -> String {
        "The names of the addresses".into()
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, _: &Context) -> Result<Value> {
        Err(nothing_made())
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}

/// A DNS step, written or checked, as needed to undo it.
struct RemoveRecords {
    id: &'static str,
    records: Arc<Option<Removal>>,
    /// True if the machine is removed too.
    gone: bool,
}

#[async_trait]
impl Step for RemoveRecords {
    fn id(&self) -> &'static str {
        self.id
    }

    fn plan(&self) -> String {
        "The DNS records".into()
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, _: &Context) -> Result<Value> {
        Err(nothing_made())
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let Some(records) = &*self.records else { return Ok(Undo::Undone) };
        let outcome = match self.gone {
            true => records.remove_of_gone(&context.progress).await,
            false => records.remove(&context.progress).await,
        };
        Ok(outcome.stays().map_or(Undo::Undone, Undo::Kept))
    }
}
