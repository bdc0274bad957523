//! What is asked for when a machine is created.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cloudron_api::{ActivateRequest, Include, StoreAccess};
use cloudron_core::{Domain, Error, Result, Secret, codes};

use crate::access::LIMIT;
use crate::backups::folder_of;
use crate::dns::DnsHost;
use crate::registry::DnsRecords;

/// What is asked for when a machine is created.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The domain that the server is for.
    pub domain: Domain,
    /// What becomes the server.
    pub on: On,
    /// Where the backups are kept, and restored from. Without it, a folder of the machine.
    pub store: Option<String>,
    /// The credentials that the server has for an object store.
    pub store_access: Option<StoreAccess>,
    /// The backup key. Without one, a new repository gets one that is generated.
    pub backup_key: Option<Secret>,
    /// The backup to restore: an id, or `latest`.
    pub backup: Option<String>,
    /// Whether a restore replaces files that differ.
    pub overwrite: bool,
    /// The folders beyond the server's own that a restore may put back.
    pub restore_paths: Vec<PathBuf>,
    /// Whether an earlier repository is removed with all its backups.
    pub discard_backups: bool,
    /// Folders that every backup holds besides the server's own.
    pub includes: Vec<Include>,
    /// The hour of the daily backup, UTC. Without one, one at random.
    pub backup_hour: Option<u8>,
    /// Who does the first-time setup. Without it, a link for it is made.
    pub owner: Option<ActivateRequest>,
    /// Whether an interrupted run is gone on with.
    pub resume: bool,
    /// Whether what a failed run made is left.
    pub keep: bool,
}

/// What becomes the server.
#[derive(Debug, Clone)]
pub enum On {
    /// A process on this computer.
    Local(LocalHost),
    /// A Linux machine with systemd that answers SSH.
    Generic(Box<GenericHost>),
}

/// A server that is a process on this computer.
#[derive(Debug, Clone, Default)]
pub struct LocalHost {
    /// The port to listen on. Without it, a free one.
    pub port: Option<u16>,
}

/// A machine that answers SSH.
#[derive(Debug, Clone)]
pub struct GenericHost {
    /// Its address.
    pub address: IpAddr,
    /// The file of the private key. Without it, the agent is asked.
    pub ssh_key: Option<PathBuf>,
    /// The port that SSH listens on now.
    pub ssh_port: u16,
    /// Whether SSH stays there, rather than move to port 202.
    pub keep_ssh_port: bool,
    /// The user to log in as: root, or one with sudo without a password.
    pub ssh_user: String,
    /// The fingerprint of its host key. Without it, known_hosts and a question.
    pub host_key: Option<String>,
    /// How long it may take to answer.
    pub connect_timeout: Duration,
    /// The program to install, when the machine is of another kind than this computer.
    pub program: Option<PathBuf>,
    /// What is done about its DNS records.
    pub dns: Dns,
}

/// What is done about a machine's DNS records.
#[derive(Debug, Clone)]
pub enum Dns {
    /// Nothing.
    None,
    /// They are looked at: somebody else sets them.
    Check {
        /// Who is asked. Without any, the authoritative name servers.
        name_servers: Vec<SocketAddr>,
    },
    /// They are written.
    Write {
        /// Where.
        host: DnsHost,
        /// What is remembered of the host.
        records: Box<DnsRecords>,
        /// Who is asked whether they are there. Without any, the authoritative name servers.
        name_servers: Vec<SocketAddr>,
    },
}

impl CreateRequest {
    /// A server on this computer, with its backups in a folder of it.
    pub fn local(domain: Domain) -> Self {
        Self::on(domain, On::Local(LocalHost::default()))
    }

    /// A server on that machine, with its backups in a folder of it.
    pub fn generic(domain: Domain, host: GenericHost) -> Self {
        Self::on(domain, On::Generic(Box::new(host)))
    }

    fn on(domain: Domain, on: On) -> Self {
        Self {
            domain,
            on,
            store: None,
            store_access: None,
            backup_key: None,
            backup: None,
            overwrite: false,
            restore_paths: Vec::new(),
            discard_backups: false,
            includes: Vec::new(),
            backup_hour: None,
            owner: None,
            resume: false,
            keep: false,
        }
    }
}

impl GenericHost {
    /// Refuses a folder of this computer as the place where the server keeps its backups. One that is only restored from,
    /// or was when the run began, is copied to the machine.
    ///
    /// # Errors
    /// `usage`.
    pub fn check_store(store: Option<&str>, restores: bool) -> Result<()> {
        match store.filter(|store| !restores && folder_of(store).is_some()) {
            None => Ok(()),
            Some(store) => {
                let text = format!(
                    "{store} is a folder of this computer, which the server cannot use for its backups"
                );
                Err(Error::new(&codes::USAGE, text))
            }
        }
    }

    /// The machine at that address, logged in to as root with the agent's keys on port 22.
    pub fn new(address: IpAddr) -> Self {
        Self {
            address,
            ssh_key: None,
            ssh_port: 22,
            keep_ssh_port: false,
            ssh_user: "root".into(),
            host_key: None,
            connect_timeout: LIMIT,
            program: None,
            dns: Dns::None,
        }
    }
}
