//! What root tells the front, in a file that no user of the server may change.

use std::os::unix::fs::PermissionsExt;
use std::{fs, fs::Permissions};

use cloudron_api::ProxyRoute;
use cloudron_core::{Domain, atomic};
use serde::{Deserialize, Serialize};

use crate::system::files;
use crate::{Error, Layout, Result, codes};

/// File name of the names in the state of a backup, made on a machine of its own.
pub(crate) const ROUTES: &str = "proxy.json";

/// `proxy.json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FrontSettings {
    /// The machine's domain.
    pub(crate) fqdn: Domain,
    /// The names that are passed on to programs of the machine.
    #[serde(default)]
    pub(crate) routes: Vec<ProxyRoute>,
}

impl FrontSettings {
    /// Reads the file. Returns `None` if there is none.
    ///
    /// # Errors
    /// `config-corrupt`, and file errors.
    pub(crate) fn load(layout: &Layout) -> Result<Option<Self>> {
        layout.front_settings().map_or(Ok(None), |file| files::read_json(&file))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// `machine-missing` if there is none.
    pub(crate) fn require(layout: &Layout) -> Result<Self> {
        Self::load(layout)?
            .ok_or_else(|| Error::new(&codes::MACHINE_MISSING, "no front is installed on this machine"))
    }

    /// Replaces the file, which the front may read.
    ///
    /// # Errors
    /// File errors.
    pub(crate) fn write(&self, layout: &Layout) -> Result<()> {
        let Some(file) = layout.front_settings() else { return Ok(()) };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
            fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(|e| Error::io(folder, e))?;
        }
        let mut text = serde_json::to_vec_pretty(self).expect("our types serialize to JSON");
        text.push(b'\n');
        atomic::write(&file, 0o644, &text)
    }
}
