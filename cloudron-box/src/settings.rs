//! This machine's own settings, which a restore does not change.

use std::net::SocketAddr;
use std::path::PathBuf;

use cloudron_core::{Domain, Version};
use serde::{Deserialize, Serialize};

use crate::api::install::Supervisor;
use crate::system::files;
use crate::{Error, Layout, Result, codes};

/// `config.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) fqdn: Domain,
    pub(crate) provider: String,
    pub(crate) run: String,
    pub(crate) supervisor: Supervisor,
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) store: String,
    pub(crate) backup_hour: u8,
}

impl Settings {
    /// Reads the settings. Returns `None` if there is no machine.
    pub(crate) fn load(layout: &Layout) -> Result<Option<Self>> {
        files::read_json(&layout.config())
    }

    /// Reads the settings.
    ///
    /// # Errors
    /// `machine-missing` if there is no machine.
    pub(crate) fn require(layout: &Layout) -> Result<Self> {
        Self::load(layout)?.ok_or_else(|| {
            let text = format!("no server is installed in {}", layout.state().display());
            Error::new(&codes::MACHINE_MISSING, text)
        })
    }

    /// Returns the port that the server listens on.
    pub(crate) fn port(&self) -> u16 {
        self.listen.first().map_or(443, SocketAddr::port)
    }

    /// Returns the URL of the page for the first-time setup.
    pub(crate) fn setup_page(&self) -> String {
        let port = if self.port() == 443 { String::new() } else { format!(":{}", self.port()) };
        format!("https://{}{port}/", self.fqdn.admin_fqdn())
    }

    /// Returns the store's URL without user and password.
    pub(crate) fn store_name(&self) -> String {
        store_name(&self.store)
    }

    /// Returns the folder of the store, if it is on this machine.
    pub(crate) fn store_folder(&self) -> Option<PathBuf> {
        store_folder(&self.store)
    }
}

/// Returns a store's URL without user and password.
fn store_name(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let path = path.split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://{host}/{path}")
        }
        None => url.to_owned(),
    }
}

/// Returns the folder of a store, if it is on this machine.
fn store_folder(url: &str) -> Option<PathBuf> {
    match url.split_once("://") {
        None => Some(PathBuf::from(url)),
        Some(("file", path)) => Some(PathBuf::from(path)),
        Some(_) => None,
    }
}

/// `worker.json`: what the backup worker of a machine of its own is told at the installation, in a file that the
/// interface can neither read nor change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkerSettings {
    pub(crate) fqdn: Domain,
    /// URL of the backup store.
    pub(crate) store: String,
}

impl WorkerSettings {
    /// Returns the part of a server's settings that its worker needs.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { fqdn: settings.fqdn.clone(), store: settings.store.clone() }
    }

    /// Reads the file of a machine of its own. Returns `None` if there is none.
    pub(crate) fn load(layout: &Layout) -> Result<Option<Self>> {
        layout.worker_config().map_or(Ok(None), |file| files::read_json(&file))
    }

    /// Reads the file of a machine of its own.
    ///
    /// # Errors
    /// `machine-missing` if there is none.
    pub(crate) fn require(layout: &Layout) -> Result<Self> {
        Self::load(layout)?.ok_or_else(|| {
            let text = format!("no backup worker is installed in {}", layout.worker_state().display());
            Error::new(&codes::MACHINE_MISSING, text)
        })
    }

    /// Returns those of a server: from the file, or, below one folder, the server's.
    ///
    /// # Errors
    /// `machine-missing`, `config-corrupt`.
    pub(crate) fn of_server(layout: &Layout, settings: &Settings) -> Result<Self> {
        if layout.is_system() { Self::require(layout) } else { Ok(Self::of(settings)) }
    }

    /// Returns the store's URL without user and password.
    pub(crate) fn store_name(&self) -> String {
        store_name(&self.store)
    }

    /// Returns the folder of the store, if it is on this machine.
    pub(crate) fn store_folder(&self) -> Option<PathBuf> {
        store_folder(&self.store)
    }
}

/// `machine.json`: the public description of the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    pub(crate) fqdn: Domain,
    pub(crate) run: String,
    pub(crate) version: Version,
}
