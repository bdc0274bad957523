use cloudron_core::Version;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/cloudron/status`. Needs no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The server's version.
    pub version: Version,
    /// True if the first-time setup is done.
    pub activated: bool,
    /// Provider of the machine: `local`, `generic`, `ec2`, `digitalocean`.
    pub provider: String,
    /// The machine's domain.
    pub fqdn: String,
    /// Host name of its page: `my.<domain>`.
    pub admin_fqdn: String,
}

/// `GET /api/v1/cloudron/config`. It contains no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The server's version.
    pub version: Version,
    /// The machine's domain.
    pub fqdn: String,
    /// Host name of its page.
    pub admin_fqdn: String,
    /// Provider of the machine.
    pub provider: String,
    /// A newer version to install.
    pub update: Option<AvailableUpdate>,
    /// The machine's health.
    pub health: Health,
    /// True if another machine has taken over.
    pub retired: bool,
    /// The daily backup.
    pub backup: BackupSettings,
}

/// A version that can be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailableUpdate {
    /// The version.
    pub version: Version,
    /// Its changes, one per line.
    pub changelog: Vec<String>,
    /// True if it needs a new machine rather than a new program.
    pub upgrade: bool,
}

/// The machine's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// True if every check passed.
    pub ok: bool,
    /// The checks: `database`, `disk`, `store`, `backup`.
    pub checks: Vec<HealthCheck>,
}

/// One check of the machine's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Name of the check.
    pub name: String,
    /// True if it passed.
    pub ok: bool,
    /// The finding, as a sentence.
    pub message: String,
}

/// Schedule and location of backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupSettings {
    /// URL of the store without secrets.
    pub store: String,
    /// Hour of the daily backup (UTC, 0 to 23).
    pub hour: u8,
    /// Time of the latest successful backup.
    pub last: Option<Timestamp>,
    /// The last backup, if it failed or is incomplete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failed: Option<FailedBackup>,
}

/// A failed or incomplete backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedBackup {
    /// Time of the end.
    pub time: Timestamp,
    /// The error code. `backup-incomplete` means that the backup exists.
    pub code: String,
    /// The error message.
    pub message: String,
}
