//! Adoption: managing a running server from a computer that did not create it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cloudron_api::{BoxCommand, Description};
use cloudron_core::{Domain, Error, Result};
use cloudron_provision::facts::Facts;
use cloudron_provision::local::Local;
use cloudron_provision::ssh::HostKeyPolicy;

use crate::access::{LIMIT, SSH_PORT, pinned};
use crate::codes;
use crate::kept::Kept;
use crate::manager::Manager;
use crate::record_copy::RecordCopy;
use crate::registry::{Machine, Reach, SshReach};

/// The machine to adopt.
#[derive(Debug, Clone)]
pub struct AdoptRequest {
    /// Its domain.
    pub domain: Domain,
    /// Address of the machine. If `None`, a forgotten machine, or a local one whose folder exists.
    pub at: Option<SshAddress>,
    /// Time limit for connecting.
    pub connect_timeout: Duration,
}

/// SSH address and credentials of a machine.
#[derive(Debug, Clone)]
pub struct SshAddress {
    /// The IP address.
    pub address: IpAddr,
    /// The private key file. If `None`, the SSH agent is used.
    pub ssh_key: Option<PathBuf>,
    /// The SSH port. If `None`, 202 is tried, then 22.
    pub ssh_port: Option<u16>,
    /// The user to log in as.
    pub ssh_user: String,
    /// Fingerprint of the host key. If `None`, known_hosts is used, then a question to the user.
    pub host_key: Option<String>,
}

impl AdoptRequest {
    /// Returns a request for a forgotten machine, or for a local one whose folder exists.
    pub fn new(domain: Domain) -> Self {
        Self { domain, at: None, connect_timeout: LIMIT }
    }
}

impl Manager {
    /// Adds a running server to the records of this computer. Changes nothing on the server.
    ///
    /// # Errors
    /// `machine-known`, `run-exists`, `machine-missing`, `machine-taken` for another server, and SSH errors.
    pub async fn adopt(&self, request: &AdoptRequest) -> Result<Machine> {
        let domain = &request.domain;
        self.check_adoptable(domain)?;
        let forgotten = self.kept().find(domain)?;
        let reach = self.find(request, forgotten.as_ref()).await?;
        self.take(domain, reach).await
    }

    /// Refuses a machine that is known here, or being created.
    pub(crate) fn check_adoptable(&self, domain: &Domain) -> Result<()> {
        if self.machines().find(domain)?.is_some() {
            let text = format!("the machine {domain} is known on this computer already");
            return Err(Error::new(&codes::MACHINE_KNOWN, text));
        }
        let finished = self.runner().check_finished(domain.as_str());
        finished.map_err(|error| error.with_detail("adopted", domain.as_str()))
    }

    /// Records the machine that is reached like this, as it describes itself.
    pub(crate) async fn take(&self, domain: &Domain, reach: Reach) -> Result<Machine> {
        let said: Description = self.reach_at(&reach).await?.call(&BoxCommand::Describe).await?;
        let copy = said.record.clone().map(RecordCopy::read).transpose()?;
        let machine = machine(domain, reach, said, copy.as_ref())?;
        if let Some(copy) = &copy {
            copy.take_over(domain, self)?;
        }
        self.machines().put(&machine)?;
        self.kept().forget(&machine)?;
        Ok(machine)
    }

    /// Returns how to reach the machine from this computer, after checking that it runs this server.
    async fn find(&self, request: &AdoptRequest, forgotten: Option<&Kept>) -> Result<Reach> {
        let (domain, limit) = (&request.domain, request.connect_timeout);
        if let Some(at) = &request.at {
            let origin = SshReach {
                host: at.address.to_string(),
                ssh_port: at.ssh_port.unwrap_or(SSH_PORT),
                ssh_user: at.ssh_user.clone(),
                ssh_key: at.ssh_key.clone(),
                host_keys: Vec::new(),
                cloud: None,
            };
            let ports = at.ssh_port.map_or_else(|| vec![SSH_PORT, 22], |port| vec![port]);
            let policy = self.first_contact(at.host_key.as_deref())?;
            return self.over_ssh(domain, origin, &ports, policy, limit).await;
        }
        match forgotten.map(|kept| kept.reach.clone()) {
            Some(Reach::Generic(reach)) => {
                let (ports, policy) = ([SSH_PORT, reach.ssh_port, 22], pinned(&reach)?);
                self.over_ssh(domain, reach, &ports, policy, limit).await
            }
            _ => local(domain, self.state().local_root(domain)),
        }
    }

    pub(crate) async fn over_ssh(
        &self,
        domain: &Domain,
        origin: SshReach,
        ports: &[u16],
        policy: HostKeyPolicy,
        limit: Duration,
    ) -> Result<Reach> {
        let remote = self.connect_any(&origin, ports, policy, limit).await?;
        let facts = Facts::ask(&remote).await?;
        match facts.server.map(|server| server.fqdn) {
            Some(name) if name == domain.as_str() => {}
            Some(name) => {
                let text = format!("{} runs the server {name:?}, not {domain}", origin.host);
                return Err(Error::new(&cloudron_provision::codes::MACHINE_TAKEN, text)
                    .with_hint("give the domain of the server that is on the machine"));
            }
            None => {
                let error = no_server(domain, &format!("on {}", origin.host));
                return Err(error.with_detail("empty", &origin.host));
            }
        }
        let mut reach = origin;
        reach.ssh_port = remote.target().port;
        reach.host_keys = vec![remote.host_key().to_string()];
        Ok(Reach::Generic(reach))
    }
}

fn local(domain: &Domain, root: PathBuf) -> Result<Reach> {
    match Local::new(&root).installed() {
        Some(server) if server.fqdn == domain.as_str() => Ok(Reach::Local { root }),
        _ => Err(no_server(domain, "on this computer").with_detail("here", domain.as_str())),
    }
}

fn no_server(domain: &Domain, place: &str) -> Error {
    Error::new(&cloudron_api::codes::MACHINE_MISSING, format!("no server {domain} is installed {place}"))
}

/// Builds the record from the machine's description of itself.
fn machine(domain: &Domain, reach: Reach, said: Description, copy: Option<&RecordCopy>) -> Result<Machine> {
    if said.fqdn != *domain {
        let text = format!("the server calls itself {}, not {domain}", said.fqdn);
        return Err(Error::new(&cloudron_provision::codes::MACHINE_TAKEN, text));
    }
    let mut dns = copy.and_then(|copy| copy.dns.clone());
    if let Some(dns) = &mut dns {
        // The path is on the computer that created the machine, and may not exist here.
        dns.tsig_key_file = dns.tsig_key_file.take().filter(|path| path.is_file());
    }
    Ok(Machine {
        schema: 1,
        fqdn: said.fqdn,
        run: said.run,
        created: copy.map_or_else(SystemTime::now, |copy| copy.created),
        reach,
        ca_pem: said.ca_pem,
        port: said.port,
        store: said.store,
        dns,
        copied: None,
        destroying: false,
    })
}
