//! The run of a creation: what is looked at before anything is made, then the steps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cloudron_api::BoxCommand;
use cloudron_api::StoreCredentials;
use cloudron_api::install::{InstallRequest, Supervisor};
use cloudron_api::restore::RestoreAnswer;
use cloudron_core::{Domain, Error, ErrorKind, Result, Secret, codes as core_codes};
use cloudron_provision::facts::Facts;
use cloudron_provision::steps::{Context, Outputs, Runner, Spec, Step};

use super::copy::CopyRepository;
use super::recipe::{Install, Recipe, Restored};
use super::repository::{self, Origin, Prepared, Remembered};
use super::steps::Remember;
use super::{Begun, Created, Creation, GenericHost, Occupied, On, Records, writer};
use crate::backups::folder_of;
use crate::clouds::ReverseNames;
use crate::dns::{AwaitRecords, PutRecords};
use crate::folders;
use crate::outputs::{DnsDone, StepOutput};
use crate::registry::{Machine, Reach};

/// Time limit for the page's port to answer this computer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Creation {
    /// Returns the steps that would run, one line each, in order.
    ///
    /// # Errors
    /// None for a creation that was prepared successfully.
    pub fn plan(self) -> Result<Vec<String>> {
        let restore = self.request.backup.as_ref().map(|id| self.shown(id));
        let is_copy = self.repository.copy.is_some();
        let script = self.script.clone();
        let install = Install { request: None, made: None, backups: self.repository.shown.clone(), script };
        let restored = restore.map(|shown| Restored { request: None, shown });
        let steps = self.recipe(install, is_copy.then_some(None), restored).steps()?;
        Ok(steps.iter().map(|step| step.plan()).collect())
    }

    /// Creates the machine, or resumes its creation. Before anything is made, checks that the machine can be
    /// reached, that nothing of others would be overwritten, and that the key is right.
    ///
    /// # Errors
    /// Errors of the steps. A failed run is rolled back, unless `keep` was set or the run was stopped.
    pub async fn run(mut self) -> Result<Created> {
        self.read_script().await?;
        self.find_run().await?;
        self.choose_dns().await?;
        if let Some(Records::Write(records, _)) = &self.dns {
            records.preflight(&self.known_outputs()).await?;
        }
        // The key of a copy is tried before the machine is touched. The machine is reached and inspected
        // before a new key is generated and shown.
        let opening = self.open_copy().await?;
        if !self.begun.as_ref().is_some_and(Begun::has_met) {
            match &self.request.on {
                On::Local(_) => self.provider.preflight(self.request.domain.as_str()).await?,
                On::Generic(host) => self.inspect(host).await?,
                On::Cloud(_) => self.check_offer().await?,
            }
            self.check_folders().await?;
        }
        // The credentials of an instance can be tried on the instance only.
        let access = self.request.store_access.as_ref();
        let access = access.filter(|access| access.credentials != StoreCredentials::INSTANCE);
        if let (Some(access), None) = (access, &self.begun) {
            let owner = self.repository.folder.store()?;
            writer::check(&self.machine_store, access, &*owner, self.manager.progress()).await?;
        }
        let prepared = self.prepare(opening).await?;
        self.make(prepared).await
    }

    /// Describes a backup and its source for display.
    fn shown(&self, id: &str) -> String {
        match &self.repository.copy {
            Some(url) => format!("{id} from {url}"),
            None => format!("{id} {}", self.repository.shown),
        }
    }

    /// Checks that the machine can become this server, before anything is made. A server that is already
    /// installed is not taken for an earlier one.
    async fn inspect(&self, host: &GenericHost) -> Result<()> {
        let remote = self.provider.connect(&Outputs::new()).await?;
        let facts = Facts::ask(&*remote).await?;
        let requirements = self.manager.requirements(host.program.as_ref())?;
        facts.check(&requirements, self.request.domain.as_str(), "").map_err(|error| {
            let server = facts.server.as_ref().and_then(|server| Domain::parse_any(&server.fqdn).ok());
            match server.filter(|_| error.kind() == ErrorKind::Conflict) {
                Some(server) => error.with_source(Occupied(server)),
                None => error,
            }
        })
    }

    /// Refuses to include folders that do not exist on the machine, unless a backup is restored, which may
    /// create them.
    async fn check_folders(&self) -> Result<()> {
        if self.request.resume || self.request.backup.is_some() || self.cloud.is_some() {
            return Ok(());
        }
        let remote = self.provider.connect(&Outputs::new()).await?;
        let missing = match folders::missing(&*remote, &self.request.includes).await {
            // The first step reports what is wrong with a machine on which commands fail.
            Err(e) if e.is(&cloudron_provision::codes::REMOTE_COMMAND) => return Ok(()),
            other => other?,
        };
        missing.first().map_or(Ok(()), |path| Err(folders::error(path)))
    }

    /// Runs the steps.
    async fn make(self, prepared: Prepared) -> Result<Created> {
        let (manager, domain) = (self.manager.clone(), self.request.domain.clone());
        let (place, kept) = (self.place.clone(), manager.kept());
        let made = (prepared.origin == Origin::New).then(|| prepared.repository.id().to_owned());
        let generated = prepared.generated.clone();
        let repository = self.repository.clone();
        let runner = manager.runner().keep(self.request.keep).leave_unfinished(true);
        let context = manager.context(domain.as_str(), self.provider.clone());
        let ended = self.forward(prepared, &runner, &context).await;
        let undone = ended.is_err() && runner.unfinished(Some(domain.as_str()))?.is_empty();
        if let (true, Some(id)) = (undone, &made) {
            repository::remove_made(&repository, id).await?;
            if generated.is_some() {
                let text = "The backup key above is of no use: its repository was removed again.";
                manager.progress().note(text);
            }
        }
        let outputs = ended?;
        if let Some(seed) = &repository.seed {
            repository::remove(seed)?;
        }
        let machine = manager.machines().get(&domain)?;
        kept.forget(&machine)?;
        // The setup token is made last: it is a secret, so no journal may hold it.
        let program = manager.program(context.remote().await?, place);
        let setup = match program.call(&BoxCommand::SetupLink).await {
            Err(e) if e.is(&cloudron_api::codes::ALREADY_ACTIVATED) => None,
            other => Some(other?),
        };
        Ok(Created {
            reachable: reachable(&machine).await,
            restored: RestoreAnswer::of(&outputs),
            dns: DnsDone::of(&outputs),
            backup_key: generated,
            machine,
            setup,
        })
    }

    /// Starts a run, or resumes the interrupted one.
    async fn forward(self, prepared: Prepared, runner: &Runner, context: &Context) -> Result<Outputs> {
        let (spec, resumed) = (self.spec(&prepared)?, self.begun.as_ref().map(|begun| begun.run.clone()));
        let taken = self.cloud.as_ref().and_then(|cloud| cloud.taken.as_ref()).map(|taken| taken.run.clone());
        let steps = self.steps(prepared).await?;
        match (resumed, taken) {
            (Some(run), _) => runner.resume(&run, &steps, context).await,
            (None, Some(run)) => runner.take_over(&run, spec, &steps, context).await,
            (None, None) => runner.run(spec, &steps, context).await,
        }
    }

    /// Returns what the journal stores, so that the run can be resumed and undone without the original
    /// request.
    fn spec(&self, prepared: &Prepared) -> Result<Spec> {
        let no_json = |e| Error::new(&core_codes::FAILED, format!("the run's inputs are not JSON: {e}"));
        let dns = match &self.dns {
            Some(Records::Write(_, records)) => Some(records),
            _ => None,
        };
        let mut inputs = serde_json::to_value(&self.origin).map_err(no_json)?;
        inputs["dns"] = serde_json::to_value(dns).map_err(no_json)?;
        let (id, store) = (prepared.repository.id().to_owned(), self.machine_store.clone());
        let remembered = Remembered { id, origin: prepared.origin, store, options: self.chosen.clone() };
        inputs["repository"] = serde_json::to_value(remembered).map_err(no_json)?;
        if let Some(script) = &self.script {
            inputs["setupScript"] = script.to_json();
        }
        if let Some(cloud) = &self.cloud {
            inputs["settings"] = serde_json::to_value(&cloud.settings).map_err(no_json)?;
            inputs["taken"] = cloud.taken.is_some().into();
        }
        let (fqdn, provider) = (self.request.domain.to_string(), self.provider.name().to_owned());
        Ok(Spec { op: "create".into(), fqdn, provider, inputs })
    }

    async fn steps(self, prepared: Prepared) -> Result<Vec<Arc<dyn Step>>> {
        let install = Install {
            request: Some(self.install(&prepared).await?),
            made: (prepared.origin == Origin::New).then(|| prepared.repository.id().to_owned()),
            backups: self.repository.shown.clone(),
            script: self.script.clone(),
        };
        let restored = prepared.restore.as_ref().map(|summary| Restored {
            request: Some(cloudron_api::restore::RestoreRequest {
                backup: summary.id.to_string(),
                identity: prepared.identity.to_secret(),
                overwrite: self.request.overwrite,
                paths: repository::beyond(summary),
            }),
            shown: self.shown(summary.id.as_str()),
        });
        let copy = (prepared.origin == Origin::Copy).then_some(Some(prepared.repository));
        self.recipe(install, copy, restored).steps()
    }

    async fn install(&self, prepared: &Prepared) -> Result<InstallRequest> {
        let (supervisor, listen) = match &self.request.on {
            On::Local(host) => {
                (Supervisor::Detached, vec![SocketAddr::from((Ipv4Addr::LOCALHOST, host.port.unwrap_or(0)))])
            }
            On::Generic(_) | On::Cloud(_) => {
                let all = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
                (Supervisor::Systemd, all.map(|ip| SocketAddr::new(ip, 443)).to_vec())
            }
        };
        // Each machine is a separate writer, and so is its successor: the keys of a lost machine can be
        // revoked. A server that has its keys is not installed again.
        let has_keys = self.begun.as_ref().is_some_and(Begun::has_server);
        let domain = &self.request.domain;
        let writer_keys = if has_keys { Secret::new("{}") } else { prepared.writer_keys(domain).await? };
        Ok(InstallRequest {
            fqdn: domain.clone(),
            provider: self.provider.name().into(),
            run: String::new(),
            supervisor,
            listen,
            store: self.machine_store.clone(),
            writer_keys,
            repository: prepared.objects(&self.repository).await?,
            repository_id: Some(prepared.repository.id().to_owned()),
            store_access: self.request.store_access.clone(),
            includes: self.request.includes.clone(),
            backup_hour: self.request.backup_hour,
        })
    }

    /// Returns the recipe for the steps. `copy` is the repository to copy, which a plan does not open.
    fn recipe(
        self,
        install: Install,
        copy: Option<Option<cloudron_backup::Repository>>,
        restore: Option<Restored>,
    ) -> Recipe {
        let Self {
            manager,
            request,
            provider,
            program,
            place,
            origin,
            machine_store,
            repository,
            dns,
            cloud,
            ..
        } = self;
        let copy = copy.map(|opened| CopyRepository {
            manager: manager.clone(),
            place: place.clone(),
            repository: opened,
            from: repository.copy.clone().unwrap_or_default(),
            folder: folder_of(&machine_store).unwrap_or_default().to_owned(),
            shown: repository.shown.clone(),
        });
        let move_ssh = match &request.on {
            On::Local(_) => false,
            On::Generic(host) => !host.keep_ssh_port,
            On::Cloud(machine) => !machine.keep_ssh_port,
        };
        let mut after_machine: Vec<Arc<dyn Step>> = Vec::new();
        let (dns, records): (Option<Arc<dyn Step>>, _) = match dns {
            None => (None, None),
            Some(Records::Check(step)) => (Some(step), None),
            Some(Records::Write(step, records) | Records::Either(step, records, _)) if cloud.is_some() => {
                after_machine.push(Arc::new(PutRecords(step.clone())));
                (Some(Arc::new(AwaitRecords(step))), Some(*records))
            }
            Some(Records::Write(step, records) | Records::Either(step, records, _)) => {
                (Some(step), Some(*records))
            }
        };
        if let Some(cloud) = cloud.filter(|cloud| cloud.host.sets_reverse_names()) {
            let domain = request.domain.clone();
            after_machine.push(Arc::new(ReverseNames { host: cloud.host, domain }));
        }
        let remember = Remember {
            manager: manager.clone(),
            place: place.clone(),
            domain: request.domain.clone(),
            origin,
            store: machine_store,
            dns: records,
        };
        let (domain, owner) = (request.domain, request.owner);
        Recipe {
            manager,
            domain,
            provider,
            after_machine,
            program,
            place,
            install,
            copy,
            restore,
            move_ssh,
            owner,
            dns,
            remember,
        }
    }
}

/// Returns true if the page's port answers this computer. The server itself was reached over SSH, which a
/// firewall may treat differently.
async fn reachable(machine: &Machine) -> bool {
    let Reach::Generic(reach) = &machine.reach else { return true };
    let Ok(address) = reach.host.parse::<IpAddr>() else { return true };
    let connecting = tokio::net::TcpStream::connect((address, machine.port));
    matches!(tokio::time::timeout(PATIENCE, connecting).await, Ok(Ok(_)))
}
