//! The run that makes a machine, whatever the provider.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use cloudron_api::command::{STDIN, Uninstall};
use cloudron_api::install::{InstallRequest, Supervisor};
use cloudron_api::restore::RestoreAnswer;
use cloudron_api::{BoxCommand, Include, StoreAccess};
use cloudron_core::{Cancel, Domain, Error, Result, Secret, codes as core_codes};
use cloudron_provision::steps::ready::{Health, InstallServer, PlaceProgram, Restore, StartServer};
use cloudron_provision::steps::{Journal, Outputs, Runner, Step};
use cloudron_provision::{CloudProvider, Context, Spec};
use serde_json::json;

use super::common::{Common, Owner};
use super::repository::{self, Chosen, Origin, Prepared, Remembered};
use super::{report, steps};
use crate::commands::explain;
use crate::output::Output;
use crate::state::{Dirs, DnsRecords, KeptBackups, Machine, Machines, Reach};
use crate::target::{Place, Target};

/// How the record of the machine follows from the outputs of the steps.
pub(super) type ReachOf = Arc<dyn Fn(&Outputs) -> Result<Reach> + Send + Sync>;

/// What is made.
pub(super) struct Job<'a> {
    pub common: &'a Common,
    pub domain: Domain,
    pub dirs: &'a Dirs,
    pub provider: Arc<dyn CloudProvider>,
    pub program: PlaceProgram,
    pub place: Place,
    pub reach: ReachOf,
    /// How the machine is reached before the run has recorded more.
    pub origin: Reach,
    pub supervisor: Supervisor,
    pub listen: Vec<SocketAddr>,
    /// The store's address as the machine sees it.
    pub machine_store: String,
    /// The credentials that the server has for an object store.
    pub store_access: Option<StoreAccess>,
    /// The options that chose the store and the backup.
    pub chosen: Chosen,
    /// The run that is resumed.
    pub begun: Option<Begun>,
    /// Steps of the provider's own between the start and the look at its health.
    pub after_start: Vec<Arc<dyn Step>>,
    /// Steps at the end.
    pub last: Vec<Arc<dyn Step>>,
    /// The DNS records that one of these writes.
    pub dns: Option<DnsRecords>,
    pub includes: Vec<Include>,
    pub owner: Option<Owner>,
}

/// An unfinished run that is resumed.
pub(super) struct Begun {
    run: String,
    /// What its steps have recorded.
    pub outputs: Outputs,
    /// The repository that it began with.
    pub repository: Option<Remembered>,
}

impl Begun {
    /// The run that `--resume` goes on with; `None` without that option. A name that is taken is refused.
    ///
    /// # Errors
    /// `machine-known`, `run-exists`; `file-missing` when there is nothing to resume.
    pub(super) fn find(common: &Common, domain: &Domain, dirs: &Dirs) -> Result<Option<Self>> {
        let runner = Runner::new(dirs.runs());
        runner.check_idle(domain.as_str())?;
        let open = runner.unfinished(Some(domain.as_str()))?.into_iter().next();
        let Some(run) = open.filter(|_| common.resume) else {
            common.refuse_known(domain, dirs)?;
            runner.check_finished(domain.as_str())?;
            return match common.resume {
                false => Ok(None),
                true => {
                    let text = format!("no unfinished run of {domain} is known on this computer");
                    Err(Error::new(&core_codes::FILE_MISSING, text)
                        .with_hint("leave `--resume` out to begin one"))
                }
            };
        };
        let state = Journal::read(&dirs.runs(), &run.run)?;
        let repository = serde_json::from_value(run.spec.inputs["repository"].clone()).ok();
        Ok(Some(Self { run: run.run, outputs: state.outputs(), repository }))
    }

    /// The options that choose the repository, as the run was begun with them.
    pub(super) fn complete(&self, backup: &mut Option<String>, store: &mut Option<String>) {
        if let Some(begun) = self.repository.as_ref().map(|repository| &repository.options) {
            backup.clone_from(&begun.backup);
            store.clone_from(&begun.store);
        }
    }

    /// Whether the machine was reached, so that its host key and the port that SSH has now are known.
    pub(super) fn has_met(&self) -> bool {
        self.outputs.contains_key("first-contact")
    }
}

/// Makes the machine, or goes on making it, and says what it is.
pub(super) async fn run_job(
    job: Job<'_>,
    place: &repository::Place,
    prepared: Prepared,
    out: &Output,
    cancel: &Cancel,
) -> Result<()> {
    let (domain, machine_place, kept) = (job.domain.clone(), job.place.clone(), job.kept());
    let made = (prepared.origin == Origin::New).then(|| prepared.repository.id().to_owned());
    let generated = prepared.generated.clone();
    let machines = Machines::at(job.dirs.machines());
    let runner = Runner::new(job.dirs.runs()).keep(job.common.keep).leave_unfinished(true);
    let context = Context::new(domain.as_str(), job.provider.clone())
        .progress(&out.progress())
        .cancelled_by(cancel)
        .knowing(explain::all());
    let ended = forward(job, place, prepared, &runner, &context).await;
    let undone = ended.is_err() && runner.unfinished(Some(domain.as_str()))?.is_empty();
    if let (true, Some(id)) = (undone, &made) {
        repository::remove_made(place, id).await?;
        if generated.is_some() {
            out.say("The backup key above is of no use: its repository was removed again.");
        }
    }
    let outputs = ended?;
    if let Some(seed) = &place.seed {
        repository::remove(seed)?;
    }
    let machine = machines.get(&domain)?;
    kept.forget(&machine)?;
    let restored: Option<RestoreAnswer> =
        outputs.get("restore").cloned().and_then(|answer| serde_json::from_value(answer).ok());
    let made = report::Made { machine: &machine, restored: restored.as_ref(), generated: generated.as_ref() };
    report::done(made, Target::new(context.remote().await?, machine_place), out).await
}

/// Begins a run, or goes on with the one that was cut off.
async fn forward(
    job: Job<'_>,
    place: &repository::Place,
    prepared: Prepared,
    runner: &Runner,
    context: &Context,
) -> Result<Outputs> {
    let (spec, resumed) = (job.spec(&prepared)?, job.begun.as_ref().map(|begun| begun.run.clone()));
    let steps = job.steps(place, prepared).await?;
    match resumed {
        None => runner.run(spec, &steps, context).await,
        Some(run) => runner.resume(&run, &steps, context).await,
    }
}

impl Job<'_> {
    /// What this computer remembers of the backups of destroyed machines.
    fn kept(&self) -> KeptBackups {
        KeptBackups::at(self.dirs.kept())
    }

    fn spec(&self, prepared: &Prepared) -> Result<Spec> {
        let no_json = |e| Error::new(&core_codes::FAILED, format!("the run's inputs are not JSON: {e}"));
        let mut inputs = serde_json::to_value(&self.origin).map_err(no_json)?;
        inputs["dns"] = serde_json::to_value(&self.dns).map_err(no_json)?;
        let (id, store) = (prepared.repository.id().to_owned(), self.machine_store.clone());
        let remembered = Remembered { id, origin: prepared.origin, store, options: self.chosen.clone() };
        inputs["repository"] = serde_json::to_value(remembered).map_err(no_json)?;
        let (fqdn, provider) = (self.domain.to_string(), self.provider.name().to_owned());
        Ok(Spec { op: "create".into(), fqdn, provider, inputs })
    }

    /// Says what would be done.
    pub(super) fn dry_run(&self, place: &repository::Place, out: &Output) -> Result<()> {
        let mut plan: Vec<String> =
            self.provider.steps(self.domain.as_str()).iter().map(|s| s.plan()).collect();
        plan.push(self.program.plan());
        plan.push(format!("Install the server for {} with its backups {}", self.domain, place.shown));
        if let Some(url) = &place.copy {
            plan.push(format!("Copy the backups in {url} to the machine"));
        }
        if let Some(id) = &self.common.backup {
            let from = place.copy.as_ref().map_or_else(|| place.shown.clone(), |url| format!("from {url}"));
            plan.push(format!("Restore the backup {id} {from}"));
        }
        plan.push("Start the server".into());
        plan.extend(self.after_start.iter().map(|s| s.plan()));
        plan.push("Wait until the server is healthy".into());
        if let Some(owner) = &self.owner {
            plan.push(format!("Do the first-time setup for {}", owner.email));
        }
        plan.extend(self.last.iter().map(|s| s.plan()));
        out.data("steps", &plan, || plan.join("\n"))
    }

    async fn steps(self, place: &repository::Place, prepared: Prepared) -> Result<Vec<Arc<dyn Step>>> {
        let mut steps = self.provider.steps(self.domain.as_str());
        let install = self.install(place, &prepared).await?;
        steps.push(Arc::new(self.program));
        steps.push(Arc::new(install));
        if prepared.origin == Origin::Copy {
            let store = prepared.repository.store().clone();
            steps.push(Arc::new(steps::PushStore { store, place: self.place.clone() }));
        }
        if let Some(summary) = &prepared.restore {
            let request = json!({
                "backup": summary.id, "identity": prepared.identity.to_secret(), "overwrite": self.common.overwrite,
                "paths": cloudron_box::restore::beyond(summary),
            });
            let argv = self.place.argv(&BoxCommand::Restore(STDIN));
            steps.push(Arc::new(Restore::new(argv, Secret::new(request.to_string()))));
        }
        steps.push(Arc::new(StartServer::new(
            self.place.argv(&BoxCommand::Start),
            self.place.argv(&BoxCommand::Stop),
        )));
        steps.extend(self.after_start);
        let probe = Arc::new(steps::Answers { place: self.place.clone(), domain: self.domain.clone() });
        steps.push(Arc::new(Health::new(probe, std::time::Duration::from_secs(60))));
        if let Some(owner) = self.owner {
            steps.push(Arc::new(steps::Activate {
                owner,
                place: self.place.clone(),
                domain: self.domain.clone(),
            }));
        }
        steps.extend(self.last);
        steps.push(Arc::new(steps::Remember {
            dirs: self.dirs.clone(),
            place: self.place,
            domain: self.domain,
            reach: self.reach,
            store: self.machine_store,
            dns: self.dns,
        }));
        Ok(steps)
    }

    /// What the server needs to make backups, as text. Each machine is a writer of its own, and so is its successor: the
    /// keys of one that was lost can be revoked.
    async fn writer_keys(&self, prepared: &Prepared) -> Result<Secret> {
        if self.begun.as_ref().is_some_and(|begun| begun.outputs.contains_key("server")) {
            // The server has its keys, and is not installed again.
            return Ok(Secret::new("{}"));
        }
        prepared.writer_keys(&self.domain).await
    }

    async fn install(&self, place: &repository::Place, prepared: &Prepared) -> Result<InstallServer> {
        let request = InstallRequest {
            fqdn: self.domain.clone(),
            provider: self.provider.name().into(),
            run: String::new(),
            supervisor: self.supervisor,
            listen: self.listen.clone(),
            store: self.machine_store.clone(),
            writer_keys: self.writer_keys(prepared).await?,
            repository: prepared.objects(place).await?,
            repository_id: Some(prepared.repository.id().to_owned()),
            store_access: self.store_access.clone(),
            includes: self.includes.clone(),
            backup_hour: self.common.backup_hour,
        };
        let fill = move |context: &Context| {
            let request = InstallRequest { run: context.run(), ..request.clone() };
            let text = serde_json::to_string(&request)
                .map_err(|e| Error::new(&core_codes::FAILED, format!("the request is not JSON: {e}")))?;
            Ok(Secret::new(text))
        };
        let made = (prepared.origin == Origin::New).then(|| prepared.repository.id());
        Ok(InstallServer::new(self.place.argv(&BoxCommand::Install(STDIN)), fill)
            .uninstall(uninstall(&self.place, made))
            .record(["caPem", "port", "version"]))
    }
}

/// The command that removes a server and leaves its backups. A repository of that id, which the run made, goes too
/// when nothing is stored in it.
pub(super) fn uninstall(place: &Place, made: Option<&str>) -> Vec<String> {
    let unused_repository = made.map(str::to_owned);
    place.argv(&BoxCommand::Uninstall(Uninstall { unused_repository, ..Uninstall::keeping_backups() }))
}

/// The record of a machine whose steps are done.
pub(super) fn record(
    domain: &Domain,
    reach: Reach,
    store: &str,
    dns: Option<DnsRecords>,
    run: String,
    outputs: &Outputs,
) -> Result<Machine> {
    let server = outputs.get("server").cloned().unwrap_or_default();
    let missing = || Error::new(&core_codes::FAILED, "the run did not record what the installer answered");
    Ok(Machine {
        schema: 1,
        fqdn: domain.clone(),
        run,
        created: SystemTime::now(),
        reach,
        ca_pem: server["caPem"].as_str().ok_or_else(missing)?.to_owned(),
        port: server["port"].as_u64().and_then(|p| u16::try_from(p).ok()).ok_or_else(missing)?,
        store: store.to_owned(),
        dns,
        copied: None,
        destroying: false,
    })
}

/// The path of this computer's own program.
pub(super) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|e| Error::io("this program", e))
}
