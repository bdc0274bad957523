//! The run that makes a machine, whatever the provider.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use cloudron_backup::WriterLimits;
use cloudron_box::install::{InstallRequest, Supervisor};
use cloudron_box::{Include, restore::RestoreAnswer};
use cloudron_core::{Cancel, Domain, Error, Result, Secret, codes as core_codes};
use cloudron_provision::steps::ready::{Health, InstallServer, PlaceProgram, Restore, StartServer};
use cloudron_provision::steps::{Outputs, Runner, Step};
use cloudron_provision::{CloudProvider, Context, Spec};
use serde_json::json;

use super::common::{Common, Owner};
use super::repository::{self, Prepared};
use super::{report, steps};
use crate::commands::explain;
use crate::output::Output;
use crate::state::{Dirs, DnsRecords, Machine, Machines, Reach};
use crate::target::Place;

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
    /// Whether the machine cannot see the repository, which must then be sent to it.
    pub push_store: bool,
    /// Steps of the provider's own between the start and the look at its health.
    pub after_start: Vec<Arc<dyn Step>>,
    /// Steps at the end.
    pub last: Vec<Arc<dyn Step>>,
    /// The DNS records that one of these writes.
    pub dns: Option<DnsRecords>,
    pub includes: Vec<Include>,
    pub owner: Option<Owner>,
}

/// Makes the machine, or goes on making it, and says what it is.
pub(super) async fn run_job(
    job: Job<'_>,
    place: &repository::Place,
    prepared: Prepared,
    out: &Output,
    cancel: &Cancel,
) -> Result<()> {
    let (domain, machine_place, seeded) = (job.domain.clone(), job.place.clone(), job.push_store);
    let (resume, machines, new) = (job.common.resume, Machines::at(job.dirs.machines()), prepared.new);
    let context = Context::new(domain.as_str(), job.provider.clone())
        .progress(&out.progress())
        .cancelled_by(cancel)
        .knowing(explain::all());
    let runner = Runner::new(job.dirs.runs()).keep(job.common.keep).leave_unfinished(true);
    let spec = job.spec()?;
    job.provider.preflight(domain.as_str()).await?;
    let steps = job.steps(prepared).await?;
    let ended = forward(&runner, spec, resume, &steps, &context).await;
    let undone = ended.is_err() && runner.unfinished(Some(domain.as_str()))?.is_empty();
    if undone && new {
        repository::discard(place).await?;
    }
    let outputs = ended?;
    if seeded {
        place.own.as_deref().map_or(Ok(()), repository::remove)?;
    }
    let machine = machines.get(&domain)?;
    let restored: Option<RestoreAnswer> =
        outputs.get("restore").cloned().and_then(|answer| serde_json::from_value(answer).ok());
    report::done(&machine, &machine_place, context.remote().await?, restored.as_ref(), out).await
}

/// Begins a run, or goes on with the one that was cut off.
async fn forward(
    runner: &Runner,
    spec: Spec,
    resume: bool,
    steps: &[Arc<dyn Step>],
    context: &Context,
) -> Result<Outputs> {
    if !resume {
        return runner.run(spec, steps, context).await;
    }
    let open = runner.unfinished(Some(&spec.fqdn))?;
    let run = open.first().ok_or_else(|| {
        let text = format!("no unfinished run of {} is known on this computer", spec.fqdn);
        Error::new(&core_codes::FILE_MISSING, text).with_hint("leave --resume out to begin one")
    })?;
    runner.resume(&run.run, steps, context).await
}

impl Job<'_> {
    fn spec(&self) -> Result<Spec> {
        let no_json = |e| Error::new(&core_codes::FAILED, format!("the run's inputs are not JSON: {e}"));
        let mut inputs = serde_json::to_value(&self.origin).map_err(no_json)?;
        inputs["dns"] = serde_json::to_value(&self.dns).map_err(no_json)?;
        let (fqdn, provider) = (self.domain.to_string(), self.provider.name().to_owned());
        Ok(Spec { op: "create".into(), fqdn, provider, inputs })
    }

    /// Says what would be done.
    pub(super) fn dry_run(&self, place: &repository::Place, out: &Output) -> Result<()> {
        let mut plan: Vec<String> =
            self.provider.steps(self.domain.as_str()).iter().map(|s| s.plan()).collect();
        plan.push(self.program.plan());
        plan.push(format!(
            "Install the server for {} with its backups in {}",
            self.domain, self.machine_store
        ));
        if self.push_store && self.common.backup.is_some() {
            plan.push(format!("Copy the backups of {} to the machine", place.url));
        }
        if let Some(id) = &self.common.backup {
            plan.push(format!("Restore the backup {id} from {}", place.url));
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

    async fn steps(self, prepared: Prepared) -> Result<Vec<Arc<dyn Step>>> {
        let mut steps = self.provider.steps(self.domain.as_str());
        let install = self.install(&prepared).await?;
        steps.push(Arc::new(self.program));
        steps.push(Arc::new(install));
        if self.push_store && prepared.restore.is_some() {
            let store = prepared.repository.store().clone();
            steps.push(Arc::new(steps::PushStore { store, place: self.place.clone() }));
        }
        if let Some(summary) = &prepared.restore {
            let request = json!({
                "backup": summary.id, "identity": prepared.identity.to_secret(), "overwrite": self.common.overwrite,
            });
            let argv = self.place.argv(&["restore", "--from-stdin"]);
            steps.push(Arc::new(Restore::new(argv, Secret::new(request.to_string()))));
        }
        steps.push(Arc::new(StartServer::new(self.place.argv(&["start"]), self.place.argv(&["stop"]))));
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
            machines: Machines::at(self.dirs.machines()),
            domain: self.domain,
            reach: self.reach,
            store: self.machine_store,
            dns: self.dns,
        }));
        Ok(steps)
    }

    async fn install(&self, prepared: &Prepared) -> Result<InstallServer> {
        // Each machine is a writer of its own, and so is its successor: the keys of one that was lost can be revoked.
        let name = format!("{}-{}", self.domain, cloudron_core::random::token(8));
        let limits = WriterLimits::of_domain(self.domain.as_str());
        let keys = prepared.repository.add_writer(&prepared.identity, &name, &limits).await?;
        let writer_keys = serde_json::to_string(&keys)
            .map_err(|e| Error::new(&core_codes::FAILED, format!("the writer keys are not JSON: {e}")))?;
        let repository =
            if self.push_store { repository::objects(&prepared.repository).await? } else { Vec::new() };
        let request = InstallRequest {
            fqdn: self.domain.clone(),
            provider: self.provider.name().into(),
            run: String::new(),
            supervisor: self.supervisor,
            listen: self.listen.clone(),
            store: self.machine_store.clone(),
            writer_keys: Secret::new(writer_keys),
            repository,
            includes: self.includes.clone(),
            backup_hour: self.common.backup_hour,
        };
        let fill = move |context: &Context| {
            let request = InstallRequest { run: context.run(), ..request.clone() };
            let text = serde_json::to_string(&request)
                .map_err(|e| Error::new(&core_codes::FAILED, format!("the request is not JSON: {e}")))?;
            Ok(Secret::new(text))
        };
        Ok(InstallServer::new(self.place.argv(&["install", "--from-stdin"]), fill)
            .uninstall(self.place.argv(&["uninstall", "--keep-backups"]))
            .record(["caPem", "port", "version"]))
    }
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
    })
}

/// The path of this computer's own program.
pub(super) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|e| Error::io("this program", e))
}
