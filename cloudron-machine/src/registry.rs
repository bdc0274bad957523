//! Records of machines: one JSON file each, mode 0600, without secrets.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cloudron_core::{Domain, Error, Result, atomic};
use cloudron_dns::Name;
use cloudron_dns::hosts::Account;
use cloudron_provision::steps::Outputs;
use serde::{Deserialize, Serialize};

use crate::outputs::{Made, StepOutput, lasting_key};
use crate::state_dir::private_dir;
use crate::{codes, record};

/// The record of a machine on this computer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// The version of the record: 1.
    pub schema: u32,
    /// The machine's domain.
    pub fqdn: Domain,
    /// ID of the run that created it.
    pub run: String,
    /// Time of creation.
    pub created: SystemTime,
    /// How to reach it.
    pub reach: Reach,
    /// Certificate authority of the machine's own API, PEM.
    pub ca_pem: String,
    /// Port of the API on the machine's loopback address.
    pub port: u16,
    /// Address of the backup store as seen from the machine.
    pub store: String,
    /// DNS records that its creation wrote, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsRecords>,
    /// The last copy of the whole repository made with this computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<Copied>,
    /// True if its destruction was started: parts of it may be removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destroying: bool,
}

/// A copy of a machine's backups.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// The folder.
    pub place: PathBuf,
    /// Time of the last update.
    pub time: SystemTime,
}

impl Machine {
    /// Returns the location of its backups, for display.
    pub fn backups(&self) -> String {
        crate::backups::place(&self.reach, &self.store)
    }

    /// Returns true if the only known copy of its backups is on the machine itself.
    pub fn has_only_copy(&self) -> bool {
        self.copied.is_none() && crate::backups::is_on_machine(&self.reach, &self.store)
    }
}

/// Where the DNS records of a machine were written, and their addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsRecords {
    /// The DNS host, as named by `--dns`.
    pub provider: String,
    /// The addresses in the records.
    pub addresses: Vec<IpAddr>,
    /// The zone, if it was given.
    pub zone: Option<Name>,
    /// The host's ID of the zone, if it was given.
    pub zone_id: Option<String>,
    /// Address of the host's API, if it was given.
    pub endpoint: Option<String>,
    /// The primary name server, for dynamic updates.
    pub server: Option<SocketAddr>,
    /// File of the TSIG key that signs updates.
    pub tsig_key_file: Option<PathBuf>,
    /// File with the certificate of the host's private authority.
    pub ca_file: Option<PathBuf>,
}

impl DnsRecords {
    /// Returns the record of DNS records written with an account at that host. The file of a key is named; what is in
    /// it, and the token, are not kept.
    ///
    /// # Errors
    /// Those of finding the current folder.
    pub fn written(provider: impl Into<String>, addresses: Vec<IpAddr>, account: &Account) -> Result<Self> {
        let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|e| Error::io(path, e));
        Ok(Self {
            provider: provider.into(),
            addresses,
            zone: account.zone.clone(),
            zone_id: account.zone_id.clone(),
            endpoint: account.endpoint.clone(),
            server: account.server,
            tsig_key_file: account.tsig_key_file.as_ref().map(absolute).transpose()?,
            ca_file: account.ca_file.as_ref().map(absolute).transpose()?,
        })
    }

    /// The account that they were written with, without its token.
    pub fn account(&self) -> Account {
        Account {
            zone: self.zone.clone(),
            zone_id: self.zone_id.clone(),
            endpoint: self.endpoint.clone(),
            server: self.server,
            token: None,
            tsig_key_file: self.tsig_key_file.clone(),
            ca_file: self.ca_file.clone(),
        }
    }
}

/// How to reach a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum Reach {
    /// A process on this computer.
    Local {
        /// Its folder.
        root: PathBuf,
    },
    /// Over SSH.
    Generic(SshReach),
}

/// How to reach a machine over SSH.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SshReach {
    /// The address.
    pub host: String,
    /// The port that SSH listens on.
    pub ssh_port: u16,
    /// The user to log in as.
    pub ssh_user: String,
    /// The private key file. If `None`, the SSH agent is used.
    pub ssh_key: Option<PathBuf>,
    /// The machine's pinned host keys, as `TYPE BASE64`.
    pub host_keys: Vec<String>,
    /// The cloud that the machine was made at. If `None`, the machine is somebody's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudPlace>,
}

/// Where a machine is at a cloud. The credentials of the account are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudPlace {
    /// The cloud: `hetzner`.
    pub provider: String,
    /// The region or location, if it is known.
    pub region: Option<String>,
    /// The machine's ID at the cloud. Empty before the machine was made.
    pub id: String,
    /// The run in the machine's marks.
    pub run: String,
}

impl Reach {
    /// Returns the name of the provider: `local`, `generic`, or that of the cloud.
    pub fn provider(&self) -> &str {
        match self {
            Self::Local { .. } => "local",
            Self::Generic(SshReach { cloud: Some(cloud), .. }) => &cloud.provider,
            Self::Generic(_) => "generic",
        }
    }

    /// Returns the place at a cloud, for a machine that was made there.
    pub fn cloud(&self) -> Option<&CloudPlace> {
        match self {
            Self::Generic(ssh) => ssh.cloud.as_ref(),
            Self::Local { .. } => None,
        }
    }

    /// Returns the address with the host key that a run recorded: the one that the machine made itself, or that of the
    /// first contact.
    pub fn met(mut self, outputs: &Outputs) -> Self {
        let Self::Generic(ssh) = &mut self else { return self };
        if let Some(key) = lasting_key(outputs) {
            ssh.host_keys = vec![key];
        }
        if let (Some(cloud), Some(made)) = (&mut ssh.cloud, Made::of(outputs)) {
            ssh.host = made.address().map_or_else(String::new, |address| address.to_string());
            cloud.id = made.id();
            cloud.run = made.run;
            ssh.ssh_user = made.user.unwrap_or_else(|| ssh.ssh_user.clone());
            cloud.region = made.region.or(cloud.region.take());
        }
        self
    }

    /// Returns the machine's folder or host, for display.
    pub fn place(&self) -> String {
        match self {
            Self::Local { root } => root.display().to_string(),
            Self::Generic(ssh) if ssh.host.is_empty() => "the machine".into(),
            Self::Generic(ssh) => ssh.host.clone(),
        }
    }
}

impl Machine {
    /// Returns the URL of the server's page.
    pub fn url(&self) -> String {
        let host = self.fqdn.admin_fqdn();
        if self.port == 443 { format!("https://{host}") } else { format!("https://{host}:{}", self.port) }
    }
}

/// All records of machines, in one folder.
#[derive(Debug, Clone)]
pub struct Machines(PathBuf);

impl Machines {
    /// Returns the records in this folder.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn path(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.json"))
    }

    /// Returns the record of a machine, if there is one.
    pub fn find(&self, domain: &Domain) -> Result<Option<Machine>> {
        let path = self.path(domain);
        record::load(&path, |why| no_record(&path, &why))
    }

    /// Returns the record of a machine.
    ///
    /// # Errors
    /// `machine-unknown` if there is none.
    pub fn get(&self, domain: &Domain) -> Result<Machine> {
        self.find(domain)?.ok_or_else(|| {
            Error::new(
                &codes::MACHINE_UNKNOWN,
                format!("no machine named {domain} is known on this computer"),
            )
        })
    }

    /// Returns all records sorted by name, and the errors of those that cannot be read.
    pub fn all(&self) -> Result<(Vec<Machine>, Vec<Error>)> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(e) => return Err(Error::io(&self.0, e)),
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
        paths.sort();
        let (mut machines, mut broken) = (Vec::new(), Vec::new());
        for path in paths {
            match std::fs::read(&path)
                .map_err(|e| Error::io(&path, e))
                .and_then(|b| record::parse(&b, |why| no_record(&path, &why)))
            {
                Ok(machine) => machines.push(machine),
                Err(error) => broken.push(error),
            }
        }
        Ok((machines, broken))
    }

    /// Writes a record atomically.
    pub fn put(&self, machine: &Machine) -> Result<()> {
        record::store(&self.path(&machine.fqdn), machine)
    }

    /// Writes the `known_hosts` file of a machine for the system's ssh. Returns its path.
    pub fn put_known_hosts(&self, domain: &Domain, lines: &str) -> Result<PathBuf> {
        private_dir(&self.0)?;
        let path = self.known_hosts(domain);
        atomic::write(&path, 0o600, lines.as_bytes())?;
        Ok(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the file with the machine's last answer.
    pub(crate) fn seen_file(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.seen"))
    }

    fn known_hosts(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.known_hosts"))
    }

    /// Removes the record of a machine.
    pub fn remove(&self, domain: &Domain) -> Result<()> {
        let paths = [self.known_hosts(domain), self.seen_file(domain), self.path(domain)];
        paths.iter().try_for_each(|path| record::remove(path))
    }
}

fn no_record(path: &Path, why: &str) -> Error {
    Error::new(&codes::MACHINE_RECORD, format!("{} is not a machine record: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn machine(name: &str) -> Machine {
        Machine {
            schema: 1,
            fqdn: Domain::parse(name).unwrap(),
            run: "run".into(),
            created: SystemTime::UNIX_EPOCH,
            reach: Reach::Local { root: "/x".into() },
            ca_pem: String::new(),
            port: 1,
            store: "/y".into(),
            dns: None,
            copied: None,
            destroying: false,
        }
    }

    #[test]
    fn a_record_is_private_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::at(dir.path().join("machines"));
        machines.put(&machine("example.com")).unwrap();
        let domain = Domain::parse("example.com").unwrap();
        assert_eq!(machines.get(&domain).unwrap().run, "run");
        let mode = std::fs::metadata(machines.path(&domain)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        machines.remove(&domain).unwrap();
        assert!(machines.get(&domain).unwrap_err().is(&codes::MACHINE_UNKNOWN));
    }

    #[test]
    fn only_backups_on_the_server_itself_have_no_other_copy() {
        let ssh = SshReach {
            host: "192.0.2.1".into(),
            ssh_port: 22,
            ssh_user: "root".into(),
            ssh_key: None,
            host_keys: Vec::new(),
            cloud: None,
        };
        let server = Machine {
            reach: Reach::Generic(ssh),
            store: "file:///var/backups/cloudron".into(),
            ..machine("example.com")
        };
        assert!(server.has_only_copy());
        let copied = Copied { place: "/copy".into(), time: SystemTime::UNIX_EPOCH };
        assert!(!Machine { copied: Some(copied), ..server.clone() }.has_only_copy());
        assert!(!Machine { store: "s3://bucket/example".into(), ..server.clone() }.has_only_copy());
        // Its folder and that of its backups are on the same computer anyway.
        assert!(!Machine { reach: machine("example.com").reach, ..server }.has_only_copy());
    }

    #[test]
    fn a_damaged_record_is_reported_and_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::at(dir.path().to_owned());
        machines.put(&machine("example.com")).unwrap();
        std::fs::write(dir.path().join("broken.org.json"), "{").unwrap();
        let (good, broken) = machines.all().unwrap();
        assert_eq!(good.len(), 1);
        assert!(broken[0].is(&codes::MACHINE_RECORD));
    }
}
