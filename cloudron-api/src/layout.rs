//! Where a server keeps its files.

use std::path::{Path, PathBuf};

use cloudron_core::Version;

/// The name of the server's systemd unit.
pub const UNIT: &str = "cloudron-box.service";

/// The system user that the server runs as on a machine of its own.
pub const USER: &str = "cloudron";

/// Where a server keeps its files: on a machine of its own, or below one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    state: PathBuf,
    system: bool,
}

impl Layout {
    /// A machine of its own: `/var/lib/cloudron`, run by systemd as the user `cloudron`.
    pub fn system() -> Self {
        Self { state: "/var/lib/cloudron".into(), system: true }
    }

    /// Everything below one folder, run as a detached process of the folder's owner.
    pub fn rooted(folder: impl Into<PathBuf>) -> Self {
        Self { state: folder.into(), system: false }
    }

    /// Whether this is a machine of its own.
    pub fn is_system(&self) -> bool {
        self.system
    }

    /// The folder that holds the server's state.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The SQLite database: users, hashes of tokens, event log, jobs, included folders.
    pub fn database(&self) -> PathBuf {
        self.state.join("cloudron.db")
    }

    /// Which database the machine has, and how far its event log is.
    pub fn database_marker(&self) -> PathBuf {
        self.state.join("database.json")
    }

    /// This machine's own settings, which a restore leaves alone. Mode 0600.
    pub fn config(&self) -> PathBuf {
        self.state.join("config.json")
    }

    /// What a stranger may know of the machine: `{fqdn, run, version}`.
    pub fn machine(&self) -> PathBuf {
        self.state.join("machine.json")
    }

    /// The keys: of the local certificate authority, of the server's certificate, and for writing backups.
    pub fn secrets(&self) -> PathBuf {
        self.state.join("secrets")
    }

    /// The certificate of the local authority, PEM.
    pub fn authority(&self) -> PathBuf {
        self.secrets().join("ca.pem")
    }

    /// The keys for writing backups: public ones, and one to sign with. They read no backup.
    pub fn writer_keys(&self) -> PathBuf {
        self.secrets().join("writer-keys.json")
    }

    /// The credentials for the backup store, when it is an object store. Mode 0600.
    pub fn store_access(&self) -> PathBuf {
        self.secrets().join("store.json")
    }

    /// The owner's record of the machine, as the computer that made the machine left it: what a computer needs to
    /// adopt the machine, and nothing secret.
    pub fn record(&self) -> PathBuf {
        self.state.join("record.json")
    }

    /// The data folder, which every backup holds.
    pub fn data(&self) -> PathBuf {
        self.state.join("data")
    }

    /// The folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The server's log: JSON lines.
    pub fn log(&self) -> PathBuf {
        self.logs().join("box.log")
    }

    /// What can be made again: the backup's index cache and its staging folder.
    pub fn cache(&self) -> PathBuf {
        self.state.join("cache")
    }

    /// What only matters while the server runs: process id, lock, listening address.
    pub fn run(&self) -> PathBuf {
        self.state.join("run")
    }

    /// The folder of the backup store that is used unless another one is given.
    pub fn default_store(&self) -> PathBuf {
        match self.system {
            true => "/var/backups/cloudron".into(),
            false => self.state.join("backups"),
        }
    }

    /// The program's file of one version, which the link names. Only a machine of its own has one.
    pub fn program(&self, version: &Version) -> Option<PathBuf> {
        self.system.then(|| PathBuf::from(format!("/usr/local/lib/cloudron/{version}/cloudron")))
    }

    /// The link to the program's file, so that switching versions is one rename.
    pub fn program_link(&self) -> Option<PathBuf> {
        self.system.then(|| "/usr/local/bin/cloudron".into())
    }

    /// The file of the systemd unit.
    pub fn unit_file(&self) -> Option<PathBuf> {
        self.system.then(|| Path::new("/etc/systemd/system").join(UNIT))
    }

    /// The arguments with which the program becomes this machine's server.
    pub fn serve_arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments = vec!["box".into(), "serve".into()];
        if !self.system {
            arguments.extend(["--root".into(), self.state.clone().into_os_string()]);
        }
        arguments
    }
}
