//! Paths of a server's files.

use std::path::{Path, PathBuf};

use cloudron_core::Version;

/// The systemd unit of the interface, which the other units of a server follow when it is started and stopped.
pub const UNIT: &str = "cloudron-box.service";

/// The systemd unit of the front.
pub const FRONT_UNIT: &str = "cloudron-front.service";

/// The systemd unit of the front's ports.
pub const FRONT_SOCKET_UNIT: &str = "cloudron-front.socket";

/// The systemd unit of the backup worker.
pub const WORKER_UNIT: &str = "cloudron-backup.service";

/// The systemd unit of the socket that the backup worker is started by.
pub const WORKER_SOCKET_UNIT: &str = "cloudron-backup.socket";

/// The systemd unit of the helper of root.
pub const HELPER_UNIT: &str = "cloudron-helper.service";

/// The systemd unit of the socket that the helper of root is started by.
pub const HELPER_SOCKET_UNIT: &str = "cloudron-helper.socket";

/// All units, the one that starts the others first.
pub const UNITS: [&str; 7] =
    [UNIT, FRONT_SOCKET_UNIT, FRONT_UNIT, WORKER_SOCKET_UNIT, WORKER_UNIT, HELPER_SOCKET_UNIT, HELPER_UNIT];

/// The system user that the interface runs as on a machine of its own.
pub const USER: &str = "cloudron";

/// The system user that the front runs as on a machine of its own.
pub const FRONT_USER: &str = "cloudron-front";

/// The system user that the backup worker runs as on a machine of its own.
pub const WORKER_USER: &str = "cloudron-backup";

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

    /// Returns the folder of the backup worker's state, which is closed to the interface on a machine of its own:
    /// `/var/lib/cloudron-backup`. Below one folder, it is the state of the server.
    pub fn worker_state(&self) -> PathBuf {
        match self.system {
            true => "/var/lib/cloudron-backup".into(),
            false => self.state.clone(),
        }
    }

    /// Returns the path of the backup worker's own settings: the machine's name, and its store. `None` below one
    /// folder, where the server's settings say it.
    pub fn worker_config(&self) -> Option<PathBuf> {
        self.system.then(|| self.worker_state().join("worker.json"))
    }

    /// Returns the folder of the worker's keys.
    pub fn worker_secrets(&self) -> PathBuf {
        self.worker_state().join("secrets")
    }

    /// Returns the folder of the worker's files that can be rebuilt: the index cache, and what it stages.
    pub fn worker_cache(&self) -> PathBuf {
        self.worker_state().join("cache")
    }

    /// Returns the socket at which the interface answers the front, in a folder that systemd makes for it. `None` below one
    /// folder, where the interface has a port of its own.
    pub fn interface_socket(&self) -> Option<PathBuf> {
        self.system.then(|| "/run/cloudron-box/interface.sock".into())
    }

    /// Returns the folder of the front's files, which is root's. `None` below one folder, where there is no front.
    pub fn front_state(&self) -> Option<PathBuf> {
        self.system.then(|| "/var/lib/cloudron-front".into())
    }

    /// Returns the path of the machine's own certificate with its key, which the interface leaves for the front.
    pub fn front_certificate(&self) -> Option<PathBuf> {
        Some(self.front_state()?.join("own/server.pem"))
    }

    /// Returns the path of what root tells the front, which no user of the server may change.
    pub fn front_settings(&self) -> Option<PathBuf> {
        self.system.then(|| "/etc/cloudron/proxy.json".into())
    }

    /// Returns the socket at which the worker answers the interface. `None` below one folder, where both are one
    /// process.
    pub fn worker_socket(&self) -> Option<PathBuf> {
        self.system.then(|| "/run/cloudron-backup.sock".into())
    }

    /// Returns the socket at which the helper of root answers. `None` below one folder, where nobody is root.
    pub fn helper_socket(&self) -> Option<PathBuf> {
        self.system.then(|| "/run/cloudron-helper.sock".into())
    }

    /// Returns the folder of the helper's files while it runs.
    pub fn helper_run(&self) -> PathBuf {
        match self.system {
            true => "/run/cloudron-helper".into(),
            false => self.run(),
        }
    }

    /// Returns the path of root's list of the included folders and their commands, which no user of the server may
    /// change. `None` below one folder, where they are in the database.
    pub fn includes(&self) -> Option<PathBuf> {
        self.system.then(|| "/etc/cloudron/includes.json".into())
    }

    /// Returns the folder of the interface's keys: of the local certificate authority, and of the server's
    /// certificate.
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
        self.worker_secrets().join("writer-keys.json")
    }

    /// Returns the path of the credentials for an object store. Mode 0600.
    pub fn store_access(&self) -> PathBuf {
        self.worker_secrets().join("store.json")
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

    /// Returns the folder of the interface's files that can be rebuilt, such as the copy of the database for a backup.
    pub fn cache(&self) -> PathBuf {
        self.state.join("cache")
    }

    /// Returns the folder in which the interface leaves the state for a backup.
    pub fn staged_state(&self) -> PathBuf {
        self.cache().join("staging").join(crate::restore::STATE)
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

    /// Returns the folder of the systemd unit files.
    pub fn units(&self) -> Option<PathBuf> {
        self.system.then(|| "/etc/systemd/system".into())
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
