//! The request to create a machine.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cloudron_api::{ActivateRequest, Include, StoreAccess};
use cloudron_core::{Domain, Error, Result, Secret, codes};

use crate::access::LIMIT;
use crate::backups::folder_of;
use crate::clouds::CloudMachine;
use crate::dns::DnsHost;
use crate::registry::DnsRecords;

/// A request to create a machine.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The server's domain.
    pub domain: Domain,
    /// The machine to turn into the server.
    pub on: On,
    /// Address of the backup store, also for restoring. If `None`, a folder on the machine.
    pub store: Option<String>,
    /// Credentials of the server for an object store.
    pub store_access: Option<StoreAccess>,
    /// The backup key. If `None`, a key is generated for a new repository.
    pub backup_key: Option<Secret>,
    /// The backup to restore: an ID, or `latest`.
    pub backup: Option<String>,
    /// True if a restore replaces files that differ.
    pub overwrite: bool,
    /// Folders outside the server's own that a restore may write to.
    pub restore_paths: Vec<PathBuf>,
    /// True if an earlier repository is removed with all its backups.
    pub discard_backups: bool,
    /// Folders that every backup holds besides the server's own.
    pub includes: Vec<Include>,
    /// Hour of the daily backup, UTC. If `None`, a random hour.
    pub backup_hour: Option<u8>,
    /// Account for the first-time setup. If `None`, a setup link is made.
    pub owner: Option<ActivateRequest>,
    /// A script that is run on the machine in place of the installer: a file, or an https address.
    pub setup_script: Option<String>,
    /// True if an interrupted run is resumed.
    pub resume: bool,
    /// True if a failed run is not rolled back.
    pub keep: bool,
}

/// The kind of machine to turn into the server.
#[derive(Debug, Clone)]
pub enum On {
    /// A process on this computer.
    Local(LocalHost),
    /// A Linux machine with systemd, reached over SSH.
    Generic(Box<GenericHost>),
    /// A machine that a cloud makes, with the account of the [`Manager`](crate::Manager::with_account).
    Cloud(Box<CloudMachine>),
}

/// A server that runs as a process on this computer.
#[derive(Debug, Clone, Default)]
pub struct LocalHost {
    /// The port to listen on. If `None`, a free one.
    pub port: Option<u16>,
}

/// A machine reached over SSH.
#[derive(Debug, Clone)]
pub struct GenericHost {
    /// The IP address.
    pub address: IpAddr,
    /// The private key file. If `None`, the SSH agent is used.
    pub ssh_key: Option<PathBuf>,
    /// The current SSH port.
    pub ssh_port: u16,
    /// True if SSH keeps its port. Otherwise it moves to port 202.
    pub keep_ssh_port: bool,
    /// The user to log in as: root, or a user with passwordless sudo.
    pub ssh_user: String,
    /// Fingerprint of the host key. If `None`, known_hosts is used, then a question to the user.
    pub host_key: Option<String>,
    /// Time limit for connecting.
    pub connect_timeout: Duration,
    /// The program to install, if the machine's architecture differs from this computer's.
    pub program: Option<PathBuf>,
    /// How the DNS records are handled.
    pub dns: Dns,
}

/// How a machine's DNS records are handled.
#[derive(Debug, Clone)]
pub enum Dns {
    /// Nothing.
    None,
    /// Records are checked, and set by the user.
    Check {
        /// Name servers to query. If empty, the authoritative ones.
        name_servers: Vec<SocketAddr>,
    },
    /// Records are written at the DNS host of the cloud that makes the machine, if the account has a zone for them
    /// there. Otherwise, they are checked.
    Account {
        /// Name servers to query. If empty, the authoritative ones.
        name_servers: Vec<SocketAddr>,
    },
    /// Records are written.
    Write {
        /// The DNS host.
        host: DnsHost,
        /// The record of the host to store.
        records: Box<DnsRecords>,
        /// Name servers to query for the written records. If empty, the authoritative ones.
        name_servers: Vec<SocketAddr>,
    },
}

impl CreateRequest {
    /// Returns a request for a server on this computer, with its backups in a local folder.
    pub fn local(domain: Domain) -> Self {
        Self::on(domain, On::Local(LocalHost::default()))
    }

    /// Returns a request for a server on this host, with its backups in a folder on it.
    pub fn generic(domain: Domain, host: GenericHost) -> Self {
        Self::on(domain, On::Generic(Box::new(host)))
    }

    /// Returns a request for a server on a machine that a cloud makes, with its backups in a folder on it.
    pub fn cloud(domain: Domain, machine: CloudMachine) -> Self {
        Self::on(domain, On::Cloud(Box::new(machine)))
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
            setup_script: None,
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

    /// Returns the machine at this address, with login as root on port 22 and the SSH agent's keys.
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
