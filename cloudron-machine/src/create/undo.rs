//! Undoing an interrupted run without the inputs of its creation: keys, backups, options.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cloudron_core::{Domain, Error, Result, Version, codes as core_codes};
use cloudron_provision::CloudProvider;
use cloudron_provision::generic::Generic;
use cloudron_provision::local::Local;
use cloudron_provision::ssh::HostKeyPolicy;
use cloudron_provision::steps::ready::PlaceProgram;
use cloudron_provision::steps::{Check, Context, Journal, RunSummary, Step, Undo};
use serde_json::Value;

use super::copy::CopyRepository;
use super::ready::{program_copy, program_paths};
use super::recipe::{Install, Recipe, Restored, nothing_made};
use super::repository::{self, Origin, Remembered};
use super::steps::Remember;
use crate::access::{self, SSH_PORT};
use crate::backups::{self, Folder, folder_of};
use crate::dns::Removal;
use crate::kept::Kept;
use crate::manager::Manager;
use crate::program::Place;
use crate::registry::Reach;

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
        if state.outputs().is_empty() && matches!(reach, Reach::Generic(_)) {
            // The machine was never reached, so nothing was changed on it.
            self.runner().abandon(&run.run)?;
        } else {
            let recipe = self.recipe_of(&domain, &reach, made, records)?;
            let provider = recipe.provider.clone();
            let steps = of_plan(recipe.steps()?, state.plan())?;
            let context = self.context(domain.as_str(), provider);
            self.runner().rollback(&run.run, &steps, &context).await?;
        }
        repository::remove(&self.state().seed(&domain))?;
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

    /// Returns the recipe for all steps that a run on this machine can have made, as needed to undo them.
    fn recipe_of(
        &self,
        domain: &Domain,
        reach: &Reach,
        made: Option<&Remembered>,
        records: Option<Removal>,
    ) -> Result<Recipe> {
        let (provider, place, (program, link)): (Arc<dyn CloudProvider>, _, _) = match reach {
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
            dns: Some(Arc::new(RemoveRecords(records))),
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

/// The DNS step, written or checked, as needed to undo it.
struct RemoveRecords(Option<Removal>);

#[async_trait]
impl Step for RemoveRecords {
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
        Err(nothing_made())
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let Some(records) = &self.0 else { return Ok(Undo::Undone) };
        let outcome = records.remove(&context.progress).await;
        Ok(outcome.stays().map_or(Undo::Undone, Undo::Kept))
    }
}
