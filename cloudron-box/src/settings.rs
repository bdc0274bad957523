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
        match self.store.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                let path = path.split(['?', '#']).next().unwrap_or_default();
                format!("{scheme}://{host}/{path}")
            }
            None => self.store.clone(),
        }
    }

    /// Returns the folder of the store, if it is on this machine.
    pub(crate) fn store_folder(&self) -> Option<PathBuf> {
        match self.store.split_once("://") {
            None => Some(PathBuf::from(&self.store)),
            Some(("file", path)) => Some(PathBuf::from(path)),
            Some(_) => None,
        }
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
