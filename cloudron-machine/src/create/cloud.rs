//! A creation on a machine that a cloud makes.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_api::{StoreAccess, StoreCredentials};
use cloudron_core::{Error, Result, codes as core_codes};
use cloudron_provision::CloudProvider;
use cloudron_provision::cloud::{CloudHost, MACHINE, Patience, Plan};
use cloudron_provision::steps::ready::PlaceProgram;
use cloudron_provision::steps::{Check, Context, Outputs, Step, Undo};
use serde_json::Value;

use super::ready::program_paths;
use super::repository::{self, Chosen};
use super::{Begun, CreateRequest, Creation, Dns, Records};
use crate::backups::{Folder, RemoteFolder, folder_of};
use crate::clouds::{CloudMachine, CloudSettings, Opening, Taken, open, own_host};
use crate::dns::{CheckRecords, DnsHost, Target, WriteRecords};
use crate::manager::Manager;
use crate::program::Place;
use crate::registry::{CloudPlace, DnsRecords, Reach, SshReach};

/// The part of a creation that concerns the cloud.
pub(super) struct AtCloud {
    pub(super) host: Arc<dyn CloudHost>,
    pub(super) settings: CloudSettings,
    /// True if a run without a journal on this computer is to be found.
    pub(super) taking: bool,
    /// The run of another computer, once it was found.
    pub(super) taken: Option<Taken>,
}

/// What a run would do, and make at the cloud.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DryRun {
    /// The steps, one line each, in order.
    pub steps: Vec<String>,
    /// Resources, calls, permissions and cost, if a cloud makes the machine.
    pub cloud: Option<Plan>,
    /// The DNS host and the record sets that would be written there.
    pub records: Option<(String, Vec<String>)>,
}

impl Manager {
    pub(super) fn cloud(
        &self,
        mut request: CreateRequest,
        begun: Option<Begun>,
        machine: &CloudMachine,
    ) -> Result<Creation> {
        let account = self.any_account()?.clone();
        let taking = request.resume && begun.is_none();
        // A run goes on with the machine that it began.
        let recorded = begun.as_ref().and_then(|begun| begun.settings.clone());
        let settings = recorded.map_or_else(|| machine.complete(), Ok)?;
        let patience = Patience::of(machine.boot);
        let login = self.login(&account, machine.ssh_key.as_deref());
        let login = login.on_port(machine.ssh_port).waiting(patience);
        let login = match &settings.user {
            Some(user) => login.as_user(user),
            None => login,
        };
        let adopting = taking || begun.as_ref().is_some_and(|begun| begun.taken);
        let program = machine.program.as_ref();
        let (machine_store, copy) = repository::of_machine(&request)?;
        let opening = Opening::new(&settings, login).storing_in(&machine_store);
        let host = open(&account, opening.requiring(self.requirements(program)?).adopting(adopting))?;
        self.access_of_instance(&mut request, &settings, &machine_store)?;
        let (installed, link) = program_paths()?;
        let program = PlaceProgram::new(self.program_for(program)?, installed).linked_from(link);
        let region = settings.region.clone().or_else(|| account.region().map(str::to_owned));
        let provider = account.provider().id().to_owned();
        let origin = Reach::Generic(SshReach {
            host: String::new(),
            ssh_port: machine.ssh_port,
            ssh_user: settings.user.clone().unwrap_or_else(|| "root".into()),
            ssh_key: machine.ssh_key.clone(),
            host_keys: Vec::new(),
            cloud: Some(CloudPlace { provider, region, id: String::new(), run: String::new() }),
        });
        let shown = match folder_of(&machine_store) {
            Some(folder) => format!("on the machine in {folder}"),
            None => format!("in {machine_store}"),
        };
        let (folder, seed) = match folder_of(&machine_store) {
            None => (self.folder(&machine_store)?, None),
            Some(path) => {
                let outputs = begun.as_ref().map(|begun| begun.outputs.clone()).unwrap_or_default();
                let far = RemoteFolder::at(host.clone(), outputs, path, &shown);
                (Folder::Far(Arc::new(far)), Some(self.state().seed(&request.domain)))
            }
        };
        let fresh = seed.is_some();
        let own = request.store.is_none() || copy.is_some();
        self.check(Creation {
            manager: self.clone(),
            provider: host.clone(),
            program: program.proven_by("version", "cloudron "),
            place: Place::system(),
            origin,
            machine_store,
            chosen: Chosen::of(&request)?,
            repository: repository::Place { folder, shown, own, fresh, seed, copy },
            dns: self.records_of_made(&request, machine, begun.as_ref())?,
            script: None,
            begun,
            cloud: Some(AtCloud { host, settings, taking, taken: None }),
            request,
        })
    }

    /// Lets the server use the role of its instance for its bucket, if it has one and no key was given.
    fn access_of_instance(
        &self,
        request: &mut CreateRequest,
        settings: &CloudSettings,
        store: &str,
    ) -> Result<()> {
        let has_role = settings.server_role || settings.instance_profile.is_some();
        if folder_of(store).is_some() || !has_role {
            return Ok(());
        }
        if request.store_access.is_some() {
            let text = "the server has a key for its bucket, or the role of its instance: not both";
            return Err(Error::new(&core_codes::USAGE, text));
        }
        let owner = self.bucket_options()?;
        request.store_access = Some(StoreAccess {
            credentials: StoreCredentials::INSTANCE,
            ca: owner.named_ca()?,
            region: owner.region,
            endpoint: owner.endpoint,
        });
        Ok(())
    }

    fn records_of_made(
        &self,
        request: &CreateRequest,
        machine: &CloudMachine,
        begun: Option<&Begun>,
    ) -> Result<Option<Records>> {
        let (domain, target) = (request.domain.clone(), Target::Made);
        let check = |name_servers| Arc::new(CheckRecords { domain: domain.clone(), target, name_servers });
        let write = |host, name_servers| {
            let (folder, patience) = (self.state().dns(), self.propagation());
            let domain = domain.clone();
            Arc::new(WriteRecords { host, domain, target, name_servers, folder, patience })
        };
        Ok(match machine.dns.clone() {
            Dns::None => None,
            Dns::Check { name_servers } => Some(Records::Check(check(name_servers))),
            Dns::Write { host, records, name_servers } => {
                Some(Records::Write(write(host, name_servers), records))
            }
            Dns::Account { name_servers } => {
                let account = self.any_account()?;
                let ((id, provider), (_, at)) = (own_host(account)?, account.dns());
                let records = Box::new(DnsRecords::written(id, Vec::new(), &at)?);
                let write = write(DnsHost::new(id, provider), name_servers.clone());
                match begun.map(|begun| begun.plan.iter().any(|step| step == "dns-records")) {
                    None => Some(Records::Either(write, records, check(name_servers))),
                    // The steps of a run that is resumed do not change.
                    Some(true) => Some(Records::Write(write, records)),
                    Some(false) => Some(Records::Check(check(name_servers))),
                }
            }
        })
    }
}

impl Creation {
    /// Returns what the run would do. It only reads.
    ///
    /// # Errors
    /// Errors of the cloud and of the DNS host.
    pub async fn dry_run(mut self) -> Result<DryRun> {
        self.read_script().await?;
        self.choose_dns().await?;
        let domain = self.request.domain.as_str();
        let cloud = match &self.cloud {
            Some(cloud) => Some(cloud.host.plan(domain).await?),
            None => None,
        };
        let records = match &self.dns {
            Some(Records::Write(write, records)) => Some((records.provider.clone(), write.names()?)),
            _ => None,
        };
        Ok(DryRun { cloud, records, steps: self.plan()? })
    }

    /// Decides whether the records are written at the cloud's own DNS host, which needs a zone for them there.
    pub(super) async fn choose_dns(&mut self) -> Result<()> {
        self.dns = match self.dns.take() {
            Some(Records::Either(write, records, check)) => match write.host.has_zone(&write.domain).await? {
                true => Some(Records::Write(write, records)),
                false => Some(Records::Check(check)),
            },
            other => other,
        };
        Ok(())
    }

    /// Finds the run of another computer that is to be resumed, and the repository on its machine.
    pub(super) async fn find_run(&mut self) -> Result<()> {
        let domain = &self.request.domain;
        let again = self.begun.as_ref().is_some_and(|begun| begun.taken);
        let Some(cloud) = self.cloud.as_mut().filter(|cloud| cloud.taking || again) else { return Ok(()) };
        let taken = match self.manager.taken_over(domain, &*cloud.host).await {
            // A run that was taken over before has made nothing yet.
            Err(e) if again && e.is(&core_codes::FILE_MISSING) => return Ok(()),
            other => other?,
        };
        if !taken.outputs.is_empty()
            && let Some(path) = folder_of(&self.machine_store)
        {
            let shown = &self.repository.shown;
            let far = RemoteFolder::at(cloud.host.clone(), taken.outputs.clone(), path, shown);
            (self.repository.folder, self.repository.fresh) = (Folder::Far(Arc::new(far)), false);
        }
        cloud.taken = Some(taken);
        Ok(())
    }

    /// Returns what is known of the machine before the run goes on.
    pub(super) fn known_outputs(&self) -> Outputs {
        let taken =
            self.cloud.as_ref().and_then(|cloud| cloud.taken.as_ref()).map(|taken| taken.outputs.clone());
        let begun = || self.begun.as_ref().map(|begun| begun.outputs.clone());
        taken.or_else(begun).unwrap_or_default()
    }

    /// Checks that the cloud can make the machine, unless it has.
    pub(super) async fn check_offer(&self) -> Result<()> {
        match self.known_outputs().contains_key(MACHINE) {
            true => Ok(()),
            false => self.provider.preflight(self.request.domain.as_str()).await,
        }
    }
}

/// A step on a machine that is removed as a whole when the run is undone.
struct OnMachine(Arc<dyn Step>);

#[async_trait]
impl Step for OnMachine {
    fn id(&self) -> &'static str {
        self.0.id()
    }

    fn plan(&self) -> String {
        self.0.plan()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        self.0.check(context).await
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        self.0.apply(context).await
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }

    fn reached(&self, output: &Value) -> bool {
        self.0.reached(output)
    }

    fn point_of_no_return(&self) -> bool {
        self.0.point_of_no_return()
    }
}

/// Returns the step for a machine of this provider: undone by a login, or with the machine.
pub(super) fn on_machine(provider: &dyn CloudProvider, step: Arc<dyn Step>) -> Arc<dyn Step> {
    if provider.undone_by_login() { step } else { Arc::new(OnMachine(step)) }
}

/// Puts steps directly after the one that makes the machine.
pub(super) fn after_machine(steps: &mut Vec<Arc<dyn Step>>, more: Vec<Arc<dyn Step>>) {
    let at = steps.iter().position(|step| step.id() == MACHINE).map_or(steps.len(), |n| n + 1);
    steps.splice(at..at, more);
}

/// Refuses to give the account's own key, or that with which the owner opens the bucket, to the server.
pub(super) fn check_access(manager: &Manager, access: &StoreAccess) -> Result<()> {
    let StoreCredentials::Key { access_key_id, .. } = &access.credentials else { return Ok(()) };
    let owner = manager.bucket_options()?;
    let account = manager.account().and_then(|account| account.access_key_id());
    let whose = match Some(&**access_key_id) {
        key if key == account => "account's",
        key if key == owner.access_key_id.as_deref() => "owner's",
        _ => return Ok(()),
    };
    let text = format!("the server needs a key of its own for its bucket: the {whose} key never reaches it");
    Err(Error::new(&core_codes::USAGE, text))
}
