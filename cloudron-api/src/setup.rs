//! What the owner of a machine is told on it.

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
    /// Where the setup page lives, without the token: `https://my.<domain>/`. The link to open is this,
    /// `#setup=` and the token.
    pub page: String,
    /// When it stops being valid.
    pub expires_at: Timestamp,
}

impl SetupToken {
    /// The address to open for the first-time setup. The token stands in the part that browsers send to nobody.
    pub fn link(&self) -> String {
        format!("{}#setup={}", self.page, self.token.expose())
    }
}

/// What a computer needs to know of a machine that another computer made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The machine's domain.
    pub fqdn: Domain,
    /// How it was made.
    pub provider: String,
    /// The run that made it.
    pub run: String,
    /// The certificate of the machine's own authority, to be pinned: PEM.
    pub ca_pem: String,
    /// The port that it listens on.
    pub port: u16,
    /// The URL of its backup store.
    pub store: String,
    /// The owner's record, if one was left.
    #[serde(default)]
    pub record: Option<Value>,
}

/// What became of the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseRepair {
    /// Whether the database that was there is used. Otherwise there is a new one.
    pub kept: bool,
    /// Where the one that was there is now, if it could not be used.
    pub moved_to: Option<PathBuf>,
    /// The token for the first-time setup, when the database knows no owner.
    pub setup: Option<SetupToken>,
}
