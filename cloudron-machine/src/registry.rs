//! The records of machines: one JSON file each, mode 0600, with nothing secret in it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cloudron_core::{Domain, Error, Result, atomic};
use cloudron_dns::Name;
use cloudron_dns::hosts::Account;
use cloudron_provision::steps::Outputs;
use serde::{Deserialize, Serialize};

use crate::outputs::{Contact, StepOutput};
use crate::state_dir::private_dir;
use crate::{codes, record};

/// What this computer remembers of a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// The version of the record: 1.
    pub schema: u32,
    /// Its domain.
    pub fqdn: Domain,
    /// The run that made it.
    pub run: String,
    /// When it was made.
    pub created: SystemTime,
    /// How it is reached.
    pub reach: Reach,
    /// The certificate authority of the machine's own interface, as PEM.
    pub ca_pem: String,
    /// The port of the interface on the machine's loopback.
    pub port: u16,
    /// Where the machine keeps its backups, as the machine sees it.
    pub store: String,
    /// The DNS records that its creation wrote, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsRecords>,
    /// The last copy of the whole repository that was made with this computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<Copied>,
    /// Whether its destruction was begun: something of it may be gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destroying: bool,
}

/// A copy of a machine's backups.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// The folder.
    pub place: PathBuf,
    /// When it was last brought up to date.
    pub time: SystemTime,
}

impl Machine {
    /// Where its backups are, for people.
    pub fn backups(&self) -> String {
        crate::backups::place(&self.reach, &self.store)
    }

    /// Whether no copy of its backups is known but the one on the machine itself.
    pub fn has_only_copy(&self) -> bool {
        self.copied.is_none() && crate::backups::is_on_machine(&self.reach, &self.store)
    }
}

/// Where the DNS records of a machine were written, and what they lead to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsRecords {
    /// The DNS host, as `--dns` names it.
    pub provider: String,
    /// What they lead to.
    pub addresses: Vec<IpAddr>,
    /// The zone, when it was named.
    pub zone: Option<Name>,
    /// The host's id of it, when it was named.
    pub zone_id: Option<String>,
    /// The address of the host's service, when it was named.
    pub endpoint: Option<String>,
    /// The primary name server, for dynamic updates.
    pub server: Option<SocketAddr>,
    /// The file of the key that updates are signed with.
    pub tsig_key_file: Option<PathBuf>,
    /// The file with the certificate of a private authority that the host has.
    pub ca_file: Option<PathBuf>,
}

impl DnsRecords {
    /// What to remember of records that were written with an account at that host. The file of a key is named; what is in
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
    /// A child process on this computer.
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
    /// The private key file; the agent is asked when there is none.
    pub ssh_key: Option<PathBuf>,
    /// The machine's pinned public host keys, as `TYPE BASE64`.
    pub host_keys: Vec<String>,
}

impl Reach {
    /// How the machine was made.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Local { .. } => "local",
            Self::Generic(_) => "generic",
        }
    }

    /// The same with the host key that a run's first contact recorded.
    pub fn met(mut self, outputs: &Outputs) -> Self {
        let key = Contact::of(outputs).and_then(|contact| contact.host_key);
        if let (Self::Generic(ssh), Some(key)) = (&mut self, key) {
            ssh.host_keys = vec![key];
        }
        self
    }

    /// Where the machine is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Local { root } => root.display().to_string(),
            Self::Generic(ssh) => ssh.host.clone(),
        }
    }
}

impl Machine {
    /// The address of the server's page.
    pub fn url(&self) -> String {
        let host = self.fqdn.admin_fqdn();
        if self.port == 443 { format!("https://{host}") } else { format!("https://{host}:{}", self.port) }
    }
}

/// All records, in one folder.
#[derive(Debug, Clone)]
pub struct Machines(PathBuf);

impl Machines {
    /// The records in that folder.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn path(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.json"))
    }

    /// The record of a machine, if there is one.
    pub fn find(&self, domain: &Domain) -> Result<Option<Machine>> {
        let path = self.path(domain);
        record::load(&path, |why| no_record(&path, &why))
    }

    /// The record of a machine.
    ///
    /// # Errors
    /// `machine-unknown` when there is none.
    pub fn get(&self, domain: &Domain) -> Result<Machine> {
        self.find(domain)?.ok_or_else(|| {
            Error::new(
                &codes::MACHINE_UNKNOWN,
                format!("no machine named {domain} is known on this computer"),
            )
        })
    }

    /// All records by name, and what is wrong with those that cannot be read.
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

    /// Writes a record: whole or not at all.
    pub fn put(&self, machine: &Machine) -> Result<()> {
        record::store(&self.path(&machine.fqdn), machine)
    }

    /// Writes the file that tells the system's ssh whom to trust, and says where it is.
    pub fn put_known_hosts(&self, domain: &Domain, lines: &str) -> Result<PathBuf> {
        private_dir(&self.0)?;
        let path = self.known_hosts(domain);
        atomic::write(&path, 0o600, lines.as_bytes())?;
        Ok(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The file that says when the machine answered last.
    pub(crate) fn seen_file(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.seen"))
    }

    fn known_hosts(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.known_hosts"))
    }

    /// Forgets a machine.
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
