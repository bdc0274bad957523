use cloudron_core::Version;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/cloudron/status`, which anybody may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The server's version.
    pub version: Version,
    /// Whether the first-time setup was done.
    pub activated: bool,
    /// How the machine was made: `local`, `generic`, `ec2`, `digitalocean`.
    pub provider: String,
    /// The machine's domain.
    pub fqdn: String,
    /// Where its page lives: `my.<domain>`.
    pub admin_fqdn: String,
}

/// `GET /api/v1/cloudron/config`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The server's version.
    pub version: Version,
    /// The machine's domain.
    pub fqdn: String,
    /// Where its page lives.
    pub admin_fqdn: String,
    /// How the machine was made.
    pub provider: String,
    /// The newer version that could be installed.
    pub update: Option<AvailableUpdate>,
    /// How the machine fares.
    pub health: Health,
    /// Whether another machine took over.
    pub retired: bool,
    /// The daily backup.
    pub backup: BackupSettings,
}

/// A version that could be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailableUpdate {
    /// Which version.
    pub version: Version,
    /// What it changes, a line each.
    pub changelog: Vec<String>,
    /// Whether it needs a new machine rather than a new program.
    pub upgrade: bool,
}

/// How the machine fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether every check is fine.
    pub ok: bool,
    /// The checks: `database`, `disk`, `store`, `backup`.
    pub checks: Vec<HealthCheck>,
}

/// One check of the machine's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// What was checked.
    pub name: String,
    /// Whether it is fine.
    pub ok: bool,
    /// What was found, a sentence.
    pub message: String,
}

/// When and where backups are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupSettings {
    /// Where they are stored: the store's URL without anything secret.
    pub store: String,
    /// The hour of the day (UTC, 0 to 23) in which the daily backup runs.
    pub hour: u8,
    /// When the newest successful one was made.
    pub last: Option<Timestamp>,
    /// The last one, when it failed or left something out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failed: Option<FailedBackup>,
}

/// A backup that failed, or that was made and lacks something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedBackup {
    /// When it ended.
    pub time: Timestamp,
    /// The error's code. `backup-incomplete` means that the backup exists.
    pub code: String,
    /// What went wrong.
    pub message: String,
}
