//! From what is asked for to a creation that can run: what contradicts itself is refused, nothing is connected to yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_api::Layout;
use cloudron_core::{Error, Result, Version, codes as core_codes};
use cloudron_provision::facts::Requirements;
use cloudron_provision::generic::Generic;
use cloudron_provision::local::Local;
use cloudron_provision::ssh::SshTarget;
use cloudron_provision::steps::ready::PlaceProgram;
use cloudron_provision::{CloudProvider, elf};

use super::cloud;
use super::repository::{self, Chosen};
use super::{Begun, CreateRequest, Creation, Dns, GenericHost, LocalHost, On, Records};
use crate::access::SSH_PORT;
use crate::backups::{self, Folder, RemoteFolder, folder_of};
use crate::clouds::bucket_of;
use crate::dns::{CheckRecords, Target, WriteRecords};
use crate::manager::Manager;
use crate::program::Place;
use crate::registry::{Reach, SshReach};

impl Manager {
    /// Prepares the creation of a machine. Connects to nothing and changes nothing.
    ///
    /// # Errors
    /// `machine-known`, `run-exists`, `run-busy`, `run-missing` with `resume`; `usage` for contradictory
    /// options; errors of the store's address.
    pub fn creation(&self, mut request: CreateRequest) -> Result<Creation> {
        let begun = self.begun(&request.domain, request.resume)?;
        if let Some(begun) = &begun {
            begun.complete(&mut request.backup, &mut request.store);
        }
        let creation = match request.on.clone() {
            On::Local(host) => self.local(request, begun, &host),
            On::Generic(host) => self.generic(request, begun, &host),
            On::Cloud(machine) => self.cloud(request, begun, &machine),
        };
        creation?.with_script_file()
    }

    fn local(&self, request: CreateRequest, begun: Option<Begun>, _: &LocalHost) -> Result<Creation> {
        let root = self.state().local_root(&request.domain);
        let (store, own) = match &request.store {
            Some(url) => (repository::absolute(url)?, false),
            None => (text(&self.state().local_store(&request.domain)), true),
        };
        let repository = repository::Place {
            folder: self.folder(&store)?,
            shown: format!("in {store}"),
            own,
            fresh: false,
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
            script: None,
            cloud: None,
            request,
        })
    }

    fn generic(&self, request: CreateRequest, begun: Option<Begun>, host: &GenericHost) -> Result<Creation> {
        let (machine_store, copy) = repository::of_machine(&request)?;
        let (installed, link) = program_paths()?;
        let program =
            PlaceProgram::new(self.program_for(host.program.as_ref())?, installed).linked_from(link);
        let target = SshTarget::new(host.address.to_string()).on_port(host.ssh_port).as_user(&host.ssh_user);
        let auth = self.auth(host.ssh_key.as_deref());
        let mut provider = Generic::new(target, auth, self.first_contact(host.host_key.as_deref())?)
            .requirements(self.requirements(host.program.as_ref())?)
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
            cloud: None,
        });
        let shown = backups::place(&origin, &machine_store);
        let outputs = begun.as_ref().map(|begun| begun.outputs.clone()).unwrap_or_default();
        let (folder, seed) = match folder_of(&machine_store) {
            None => (self.folder(&machine_store)?, None),
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
            repository: repository::Place { folder, shown, own, fresh: false, seed, copy },
            dns: self.records(&request, host),
            script: None,
            cloud: None,
            request,
        })
    }

    /// Refuses contradictory options.
    pub(super) fn check(&self, creation: Creation) -> Result<Creation> {
        let (request, usage) = (&creation.request, |text: String| Error::new(&core_codes::USAGE, text));
        if request.discard_backups && request.backup.is_some() && creation.repository.copy.is_none() {
            let text = "the backup that is to be restored would be removed with the others";
            return Err(usage(text.into()).with_detail("discarded", request.domain.as_str()));
        }
        if let Some(include) = request.includes.iter().find(|include| !include.path.is_absolute()) {
            let path = include.path.display().to_string();
            return Err(usage(format!("{path} is not an absolute path")).with_detail("relative", path));
        }
        match (folder_of(&creation.machine_store), &request.store_access) {
            (None, Some(access)) => {
                cloud::check_access(self, access)?;
                Ok(creation)
            }
            (Some(folder), Some(_)) => {
                let text = "credentials for an object store mean nothing to a folder";
                Err(usage(text.into()).with_detail("folder", folder))
            }
            (None, None) => {
                let text = "the server needs credentials of its own for an object store";
                let error = usage(text.into()).with_detail("store", &creation.machine_store);
                let has_roles = self.account().is_some_and(|account| account.access_key_id().is_some());
                match bucket_of(&creation.machine_store).filter(|_| has_roles) {
                    // The account can give the server a role.
                    Some((bucket, _)) => Err(error.with_detail("bucket", bucket)),
                    None => Err(error),
                }
            }
            _ => Ok(creation),
        }
    }

    fn records(&self, request: &CreateRequest, host: &GenericHost) -> Option<Records> {
        let (domain, target) = (request.domain.clone(), Target::At(host.address));
        match host.dns.clone() {
            Dns::None => None,
            Dns::Check { name_servers } | Dns::Account { name_servers } => {
                Some(Records::Check(Arc::new(CheckRecords { domain, target, name_servers })))
            }
            Dns::Write { host, records, name_servers } => {
                let (folder, patience) = (self.state().dns(), self.propagation());
                let step = WriteRecords { host, domain, target, name_servers, folder, patience };
                Some(Records::Write(Arc::new(step), records))
            }
        }
    }

    /// Returns the program to install.
    pub(super) fn program_for(&self, given: Option<&PathBuf>) -> Result<PathBuf> {
        given.cloned().map_or_else(|| self.own_program(), Ok)
    }

    /// Returns the requirements on the machine for this program.
    pub(super) fn requirements(&self, program: Option<&PathBuf>) -> Result<Requirements> {
        let mut requirements = Requirements::default();
        requirements.architecture = Some(elf::architecture(&self.program_for(program)?)?);
        Ok(requirements)
    }
}

/// Returns the path of a local machine's copy of the program.
pub(super) fn program_copy(root: &Path) -> String {
    text(&root.join("bin").join(format!("cloudron-{}", Version::current())))
}

/// Returns the paths of the program and of the link to it on a remote machine.
pub(super) fn program_paths() -> Result<(String, String)> {
    let (layout, version) = (Layout::system(), Version::current());
    let both = layout.program(&version).zip(layout.program_link());
    both.map(|(program, link)| (text(&program), text(&link)))
        .ok_or_else(|| Error::new(&core_codes::FAILED, "a machine of its own has no place for the program"))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
