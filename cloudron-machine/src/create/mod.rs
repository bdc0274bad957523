//! Creating a machine: a list of steps with a journal, so that a run that was cut off is gone on with or undone.

mod begun;
mod copy;
mod recipe;
mod repository;
mod request;
mod steps;
mod undo;
mod writer;

pub use begun::Begun;
pub use repository::Unconfirmed;
pub use request::{CreateRequest, Dns, GenericHost, LocalHost, On};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloudron_api::install::{InstallRequest, Supervisor};
use cloudron_api::restore::RestoreAnswer;
use cloudron_api::{BoxCommand, Layout, SetupToken};
use cloudron_core::{Domain, Error, ErrorKind, Result, Secret, Version, codes as core_codes};
use cloudron_provision::facts::{Facts, Requirements};
use cloudron_provision::generic::Generic;
use cloudron_provision::local::Local;
use cloudron_provision::ssh::SshTarget;
use cloudron_provision::steps::ready::PlaceProgram;
use cloudron_provision::steps::{Context, Outputs, Runner, Spec, Step};
use cloudron_provision::{CloudProvider, elf};

use crate::access::SSH_PORT;
use crate::backups::{self, Folder, RemoteFolder, folder_of};
use crate::dns::{CheckRecords, PROPAGATION, WriteRecords};
use crate::manager::Manager;
use crate::outputs::{DnsDone, StepOutput};
use crate::program::Place;
use crate::registry::{DnsRecords, Machine, Reach, SshReach};
use crate::{codes, folders};
use copy::CopyRepository;
use recipe::{Install, Recipe, Restored};
use repository::{Chosen, Origin, Prepared, Remembered};
use steps::Remember;

/// How long the page's port may take to answer from here.
const PATIENCE: Duration = Duration::from_secs(5);

/// A machine that is to be created, checked as far as that needs no connection.
pub struct Creation {
    manager: Manager,
    request: CreateRequest,
    provider: Arc<dyn CloudProvider>,
    program: PlaceProgram,
    place: Place,
    /// How the machine is reached before the run has recorded more.
    origin: Reach,
    /// The store's address as the machine sees it.
    machine_store: String,
    chosen: Chosen,
    begun: Option<Begun>,
    repository: repository::Place,
    dns: Option<Records>,
}

/// What is done about the DNS records.
enum Records {
    Write(Arc<WriteRecords>, Box<DnsRecords>),
    Check(Arc<CheckRecords>),
}

/// A machine that was created.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Created {
    /// Its record.
    pub machine: Machine,
    /// What was put back.
    pub restored: Option<RestoreAnswer>,
    /// The backup key, when it was generated. It is written nowhere.
    pub backup_key: Option<Secret>,
    /// The token for the first-time setup, unless that was done.
    pub setup: Option<SetupToken>,
    /// Whether the port of its page answers this computer.
    pub reachable: bool,
    /// What became of its DNS records, where something was done about them.
    pub dns: Option<DnsDone>,
}

impl Manager {
    /// Makes ready to create a machine. Nothing is connected to yet, and nothing made.
    ///
    /// # Errors
    /// `machine-known`, `run-exists`, `run-busy`, `run-missing` with `resume`; `usage` for a request that contradicts
    /// itself; those of the store's address.
    pub fn creation(&self, mut request: CreateRequest) -> Result<Creation> {
        let begun = self.begun(&request.domain, request.resume)?;
        if let Some(begun) = &begun {
            begun.complete(&mut request.backup, &mut request.store);
        }
        match request.on.clone() {
            On::Local(host) => self.local(request, begun, &host),
            On::Generic(host) => self.generic(request, begun, &host),
        }
    }

    fn local(&self, request: CreateRequest, begun: Option<Begun>, _: &LocalHost) -> Result<Creation> {
        let root = self.state().local_root(&request.domain);
        let (store, own) = match &request.store {
            Some(url) => (repository::absolute(url)?, false),
            None => (text(&self.state().local_store(&request.domain)), true),
        };
        let repository = repository::Place {
            folder: Folder::of(&store)?,
            shown: format!("in {store}"),
            own,
            seed: None,
            copy: None,
        };
        let place = Place::rooted(root.clone());
        let program =
            PlaceProgram::new(self.own_program()?, program_copy(&root)).linked_from(place.program());
        self.check(Creation {
            manager: self.clone(),
            provider: Arc::new(Local::new(&root)),
            program: program.proven_by("version", "cloudron "),
            place,
            origin: Reach::Local { root },
            machine_store: store,
            chosen: Chosen::of(&request)?,
            begun,
            repository,
            dns: None,
            request,
        })
    }

    fn generic(&self, request: CreateRequest, begun: Option<Begun>, host: &GenericHost) -> Result<Creation> {
        let on_machine = format!("file://{}", Layout::system().default_store().display());
        let (machine_store, copy) = match &request.store {
            Some(url) if folder_of(url).is_none() => (url.clone(), None),
            Some(url) if request.backup.is_some() => (on_machine, Some(repository::absolute(url)?)),
            Some(url) => {
                let text = format!(
                    "{url} is a folder of this computer, which the server cannot use for its backups"
                );
                return Err(Error::new(&core_codes::USAGE, text));
            }
            None => (on_machine, None),
        };
        let (installed, link) = program_paths()?;
        let program = PlaceProgram::new(self.program_for(host)?, installed).linked_from(link);
        let target = SshTarget::new(host.address.to_string()).on_port(host.ssh_port).as_user(&host.ssh_user);
        let auth = self.auth(host.ssh_key.as_deref());
        let mut provider = Generic::new(target, auth, self.first_contact(host.host_key.as_deref())?)
            .requirements(self.requirements(host)?)
            .within(host.connect_timeout);
        if !host.keep_ssh_port {
            provider = provider.may_move_to(SSH_PORT);
        }
        let provider: Arc<dyn CloudProvider> = Arc::new(provider);
        let origin = Reach::Generic(SshReach {
            host: host.address.to_string(),
            ssh_port: host.ssh_port,
            ssh_user: host.ssh_user.clone(),
            ssh_key: host.ssh_key.clone(),
            host_keys: Vec::new(),
        });
        let shown = backups::place(&origin, &machine_store);
        let outputs = begun.as_ref().map(|begun| begun.outputs.clone()).unwrap_or_default();
        let (folder, seed) = match folder_of(&machine_store) {
            None => (Folder::of(&machine_store)?, None),
            Some(path) => {
                let far = RemoteFolder::at(provider.clone(), outputs, path, &shown);
                (Folder::Far(Arc::new(far)), Some(self.state().seed(&request.domain)))
            }
        };
        let own = request.store.is_none() || copy.is_some();
        self.check(Creation {
            manager: self.clone(),
            provider,
            program: program.proven_by("version", "cloudron "),
            place: Place::system(),
            origin,
            machine_store,
            chosen: Chosen::of(&request)?,
            begun,
            repository: repository::Place { folder, shown, own, seed, copy },
            dns: self.records(&request, host),
            request,
        })
    }

    /// Refuses what contradicts itself.
    fn check(&self, creation: Creation) -> Result<Creation> {
        let (request, usage) = (&creation.request, |text: String| Error::new(&core_codes::USAGE, text));
        if request.discard_backups && request.backup.is_some() && creation.repository.copy.is_none() {
            return Err(usage("the backup that is to be restored would be removed with the others".into()));
        }
        if let Some(include) = request.includes.iter().find(|include| !include.path.is_absolute()) {
            return Err(usage(format!("{} is not an absolute path", include.path.display())));
        }
        match (folder_of(&creation.machine_store), &request.store_access) {
            (Some(_), Some(_)) => {
                Err(usage("credentials for an object store mean nothing to a folder".into()))
            }
            (None, None) => Err(usage("the server needs credentials of its own for an object store".into())),
            _ => Ok(creation),
        }
    }

    fn records(&self, request: &CreateRequest, host: &GenericHost) -> Option<Records> {
        let (domain, address) = (request.domain.clone(), host.address);
        match host.dns.clone() {
            Dns::None => None,
            Dns::Check { name_servers } => {
                Some(Records::Check(Arc::new(CheckRecords { domain, address, name_servers })))
            }
            Dns::Write { host, records, name_servers } => {
                let (folder, patience) = (self.state().dns(), PROPAGATION);
                let step = WriteRecords { host, domain, address, name_servers, folder, patience };
                Some(Records::Write(Arc::new(step), records))
            }
        }
    }

    fn program_for(&self, host: &GenericHost) -> Result<std::path::PathBuf> {
        host.program.clone().map_or_else(|| self.own_program(), Ok)
    }

    /// What the machine must be.
    fn requirements(&self, host: &GenericHost) -> Result<Requirements> {
        let mut requirements = Requirements::default();
        requirements.architecture = Some(elf::architecture(&self.program_for(host)?)?);
        Ok(requirements)
    }
}

impl Creation {
    /// What would be done, a line each, in the order in which it is done.
    ///
    /// # Errors
    /// None that a creation which was made ready runs into.
    pub fn plan(self) -> Result<Vec<String>> {
        let restore = self.request.backup.as_ref().map(|id| self.shown(id));
        let is_copy = self.repository.copy.is_some();
        let install = Install { request: None, made: None, backups: self.repository.shown.clone() };
        let restored = restore.map(|shown| Restored { request: None, shown });
        let steps = self.recipe(install, is_copy.then_some(None), restored).steps()?;
        Ok(steps.iter().map(|step| step.plan()).collect())
    }

    /// Creates the machine, or goes on creating it. Whether it can be reached, whether nothing of others is in the way
    /// and whether the key is right comes before anything is made.
    ///
    /// # Errors
    /// Those of every step. What a failed run made is removed again, unless `keep` was asked for or it was stopped.
    pub async fn run(self) -> Result<Created> {
        if let Some(Records::Write(records, _)) = &self.dns {
            records.preflight().await?;
        }
        // A copy has its key, which is tried before the machine is touched. Whether the machine can be reached at all,
        // and what is on it, comes before a key is made and shown.
        let opening = self.open_copy().await?;
        if !self.begun.as_ref().is_some_and(Begun::has_met) {
            match &self.request.on {
                On::Local(_) => self.provider.preflight(self.request.domain.as_str()).await?,
                On::Generic(host) => self.inspect(host).await?,
            }
            self.check_folders().await?;
        }
        if let (Some(access), None) = (&self.request.store_access, &self.begun) {
            let owner = self.repository.folder.store()?;
            writer::check(&self.machine_store, access, &*owner, self.manager.progress()).await?;
        }
        let prepared = self.prepare(opening).await?;
        self.make(prepared).await
    }

    /// A backup and where it is restored from, for people.
    fn shown(&self, id: &str) -> String {
        match &self.repository.copy {
            Some(url) => format!("{id} from {url}"),
            None => format!("{id} {}", self.repository.shown),
        }
    }

    /// Asks the machine whether it can become this server, before anything is looked at or made. A server that is on
    /// it already is not an earlier one.
    async fn inspect(&self, host: &GenericHost) -> Result<()> {
        let remote = self.provider.connect(&Outputs::new()).await?;
        let facts = Facts::ask(&*remote).await?;
        let requirements = self.manager.requirements(host)?;
        facts.check(&requirements, self.request.domain.as_str(), "").map_err(|error| {
            let server = facts.server.as_ref().and_then(|server| Domain::parse_any(&server.fqdn).ok());
            match server.filter(|_| error.kind() == ErrorKind::Conflict) {
                Some(server) => error.with_source(Occupied(server)),
                None => error,
            }
        })
    }

    /// Refuses to include folders that do not exist on the machine. What is restored may bring them.
    async fn check_folders(&self) -> Result<()> {
        if self.request.resume || self.request.backup.is_some() {
            return Ok(());
        }
        let remote = self.provider.connect(&Outputs::new()).await?;
        let missing = match folders::missing(&*remote, &self.request.includes).await {
            // The first step says what is wrong with a machine where commands fail.
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
        // The setup token is made now, because it is a secret that no journal holds.
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

    /// Begins a run, or goes on with the one that was cut off.
    async fn forward(self, prepared: Prepared, runner: &Runner, context: &Context) -> Result<Outputs> {
        let (spec, resumed) = (self.spec(&prepared)?, self.begun.as_ref().map(|begun| begun.run.clone()));
        let steps = self.steps(prepared).await?;
        match resumed {
            None => runner.run(spec, &steps, context).await,
            Some(run) => runner.resume(&run, &steps, context).await,
        }
    }

    /// What the journal remembers, so that the run can be gone on with and undone without what was asked for.
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
        let (fqdn, provider) = (self.request.domain.to_string(), self.provider.name().to_owned());
        Ok(Spec { op: "create".into(), fqdn, provider, inputs })
    }

    async fn steps(self, prepared: Prepared) -> Result<Vec<Arc<dyn Step>>> {
        let install = Install {
            request: Some(self.install(&prepared).await?),
            made: (prepared.origin == Origin::New).then(|| prepared.repository.id().to_owned()),
            backups: self.repository.shown.clone(),
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
            On::Generic(_) => {
                let all = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
                (Supervisor::Systemd, all.map(|ip| SocketAddr::new(ip, 443)).to_vec())
            }
        };
        // Each machine is a writer of its own, and so is its successor: the keys of one that was lost can be revoked.
        // A server that has its keys is not installed again.
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

    /// What the steps are made from. `copy` is the repository that is copied, which a plan does not have open.
    fn recipe(
        self,
        install: Install,
        copy: Option<Option<cloudron_backup::Repository>>,
        restore: Option<Restored>,
    ) -> Recipe {
        let Self {
            manager, request, provider, program, place, origin, machine_store, repository, dns, ..
        } = self;
        let copy = copy.map(|opened| CopyRepository {
            manager: manager.clone(),
            place: place.clone(),
            repository: opened,
            from: repository.copy.clone().unwrap_or_default(),
            folder: folder_of(&machine_store).unwrap_or_default().to_owned(),
            shown: repository.shown.clone(),
        });
        let move_ssh = matches!(&request.on, On::Generic(host) if !host.keep_ssh_port);
        let (dns, records): (Option<Arc<dyn Step>>, _) = match dns {
            None => (None, None),
            Some(Records::Check(step)) => (Some(step), None),
            Some(Records::Write(step, records)) => (Some(step), Some(*records)),
        };
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

/// The server of which domain is on a machine already: the cause of a refusal.
#[derive(Debug)]
pub struct Occupied(
    /// The domain.
    pub Domain,
);

impl std::fmt::Display for Occupied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Occupied {}

/// Whether the page's port answers from here. The server was asked through SSH, which a firewall may treat otherwise.
async fn reachable(machine: &Machine) -> bool {
    let Reach::Generic(reach) = &machine.reach else { return true };
    let Ok(address) = reach.host.parse::<IpAddr>() else { return true };
    let connecting = tokio::net::TcpStream::connect((address, machine.port));
    matches!(tokio::time::timeout(PATIENCE, connecting).await, Ok(Ok(_)))
}

/// Where a local machine has its copy of the program.
fn program_copy(root: &Path) -> String {
    text(&root.join("bin").join(format!("cloudron-{}", Version::current())))
}

/// Where a machine of its own has the program, and the link to it.
fn program_paths() -> Result<(String, String)> {
    let (layout, version) = (Layout::system(), Version::current());
    let both = layout.program(&version).zip(layout.program_link());
    both.map(|(program, link)| (text(&program), text(&link)))
        .ok_or_else(|| Error::new(&core_codes::FAILED, "a machine of its own has no place for the program"))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The error for a name that is taken on this computer.
fn known(domain: &Domain) -> Error {
    Error::new(&codes::MACHINE_KNOWN, format!("the machine {domain} exists already"))
}
