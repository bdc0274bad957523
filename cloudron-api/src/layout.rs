//! Paths of a server's files.

use std::path::{Path, PathBuf};

use cloudron_core::Version;

/// The name of the server's systemd unit.
pub const UNIT: &str = "cloudron-box.service";

/// The system user that the server runs as on a machine of its own.
pub const USER: &str = "cloudron";

/// Paths of a server's files: on a machine of its own, or below one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    state: PathBuf,
    system: bool,
}

impl Layout {
    /// Returns the layout of a machine of its own: `/var/lib/cloudron`, run by systemd as the user
    /// `cloudron`.
    pub fn system() -> Self {
        Self { state: "/var/lib/cloudron".into(), system: true }
    }

    /// Returns the layout below one folder, run as a detached process of the folder's owner.
    pub fn rooted(folder: impl Into<PathBuf>) -> Self {
        Self { state: folder.into(), system: false }
    }

    /// Returns true for a machine of its own.
    pub fn is_system(&self) -> bool {
        self.system
    }

    /// Returns the folder of the server's state.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Returns the path of the SQLite database: users, token hashes, event log, jobs, included folders.
    pub fn database(&self) -> PathBuf {
        self.state.join("cloudron.db")
    }

    /// Returns the path of the file that names the machine's current database and the position of its event
    /// log.
    pub fn database_marker(&self) -> PathBuf {
        self.state.join("database.json")
    }

    /// Returns the path of this machine's own settings, which a restore does not touch. Mode 0600.
    pub fn config(&self) -> PathBuf {
        self.state.join("config.json")
    }

    /// Returns the path of the public description of the machine: `{fqdn, run, version}`.
    pub fn machine(&self) -> PathBuf {
        self.state.join("machine.json")
    }

    /// Returns the folder of the keys: of the local certificate authority, of the server's certificate, and
    /// for writing backups.
    pub fn secrets(&self) -> PathBuf {
        self.state.join("secrets")
    }

    /// Returns the path of the local authority's certificate, PEM.
    pub fn authority(&self) -> PathBuf {
        self.secrets().join("ca.pem")
    }

    /// Returns the path of the keys for writing backups: public keys and a signing key. They cannot read
    /// backups.
    pub fn writer_keys(&self) -> PathBuf {
        self.secrets().join("writer-keys.json")
    }

    /// Returns the path of the credentials for an object store. Mode 0600.
    pub fn store_access(&self) -> PathBuf {
        self.secrets().join("store.json")
    }

    /// Returns the path of the machine's record, a copy written by the owner's computer. It holds what
    /// another computer needs to adopt the machine, and no secrets.
    pub fn record(&self) -> PathBuf {
        self.state.join("record.json")
    }

    /// Returns the data folder, which is part of every backup.
    pub fn data(&self) -> PathBuf {
        self.state.join("data")
    }

    /// Returns the folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// Returns the path of the server's log: JSON lines.
    pub fn log(&self) -> PathBuf {
        self.logs().join("box.log")
    }

    /// Returns the folder of files that can be rebuilt: the backup's index cache and staging folder.
    pub fn cache(&self) -> PathBuf {
        self.state.join("cache")
    }

    /// Returns the folder of files used only while the server runs: process ID, lock, listening address.
    pub fn run(&self) -> PathBuf {
        self.state.join("run")
    }

    /// Returns the folder of the default backup store.
    pub fn default_store(&self) -> PathBuf {
        match self.system {
            true => "/var/backups/cloudron".into(),
            false => self.state.join("backups"),
        }
    }

    /// Returns the path of the program's file of a version, which the link points to. `None` below a folder.
    pub fn program(&self, version: &Version) -> Option<PathBuf> {
        self.system.then(|| PathBuf::from(format!("/usr/local/lib/cloudron/{version}/cloudron")))
    }

    /// Returns the path of the link to the program's file. Switching versions is one rename.
    pub fn program_link(&self) -> Option<PathBuf> {
        self.system.then(|| "/usr/local/bin/cloudron".into())
    }

    /// Returns the path of the systemd unit file.
    pub fn unit_file(&self) -> Option<PathBuf> {
        self.system.then(|| Path::new("/etc/systemd/system").join(UNIT))
    }

    /// Returns the program's arguments that run this machine's server.
    pub fn serve_arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments = vec!["box".into(), "serve".into()];
        if !self.system {
            arguments.extend(["--root".into(), self.state.clone().into_os_string()]);
        }
        arguments
    }
}
