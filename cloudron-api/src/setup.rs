//! Answers of the program on a machine to its owner.

use std::path::PathBuf;

use cloudron_core::{Domain, Secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A token for the first-time setup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetupToken {
    /// The token.
    pub token: Secret,
    /// URL of the setup page without the token: `https://my.<domain>/`. The link to open is this URL,
    /// `#setup=` and the token.
    pub page: String,
    /// Time at which it expires.
    pub expires_at: Timestamp,
}

impl SetupToken {
    /// The address to open for the first-time setup. The token stands in the part that browsers send to nobody.
    pub fn link(&self) -> String {
        format!("{}#setup={}", self.page, self.token.expose())
    }
}

/// Description of a machine, for a computer that did not create it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The machine's domain.
    pub fqdn: Domain,
    /// Its provider.
    pub provider: String,
    /// ID of the run that created it.
    pub run: String,
    /// Certificate of the machine's own authority, to be pinned, PEM.
    pub ca_pem: String,
    /// The port that the server listens on.
    pub port: u16,
    /// URL of its backup store.
    pub store: String,
    /// The owner's record, if there is one.
    #[serde(default)]
    pub record: Option<Value>,
}

/// The result of repairing the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseRepair {
    /// True if the existing database is used, false if a new one was created.
    pub kept: bool,
    /// Path to which an unusable database was moved.
    pub moved_to: Option<PathBuf>,
    /// The token for the first-time setup, if the database has no owner.
    pub setup: Option<SetupToken>,
}
