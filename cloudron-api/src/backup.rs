use cloudron_core::{BackupId, Secret, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ApiError;

/// The tag of a server's backup that lacks a folder, or a folder whose command before it failed. It stands in the summary,
/// so that a list says so which comes from the store alone.
pub const INCOMPLETE: &str = "incomplete";

/// A backup in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupEntry {
    /// The backup's ID.
    pub id: BackupId,
    /// Time of the start.
    pub creation_time: Timestamp,
    /// The version of the program that made it.
    pub version: Version,
    /// The number of files.
    pub files: u64,
    /// Size of the files, in bytes.
    pub bytes: u64,
    /// Growth of the store, in bytes.
    pub added: u64,
    /// The folders in it.
    pub sources: Vec<String>,
    /// True if something is missing: a folder did not exist, its `before` command failed, or files could not
    /// be read.
    #[serde(default)]
    pub incomplete: bool,
}

/// `GET /api/v1/backups?page=1&per_page=25`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupPage {
    /// The backups of this page.
    pub backups: Vec<BackupEntry>,
    /// Page number, from 1.
    pub page: u32,
    /// The number of backups per page.
    pub per_page: u32,
    /// The total number of backups.
    pub total: u64,
}

/// The kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Makes a backup.
    Backup,
    /// Installs another version.
    Update,
    /// Restores a backup.
    Restore,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waiting to run.
    Queued,
    /// Running.
    Running,
    /// Succeeded.
    Done,
    /// Failed; `error` says why.
    Failed,
}

impl JobState {
    /// Returns true if the job has ended.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// A job of the server, as answered by `POST /api/v1/backups` and `GET /api/v1/jobs/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job's ID.
    pub id: String,
    /// Its kind.
    pub kind: JobKind,
    /// Its state.
    pub state: JobState,
    /// Progress, 0 to 100. It is 100 only when the job has ended.
    pub percent: u8,
    /// The current activity, as a sentence.
    pub message: String,
    /// The reason for a failure.
    pub error: Option<ApiError>,
    /// The backup being made, once its ID is known.
    pub backup_id: Option<BackupId>,
    /// Time of the request.
    pub created_at: Timestamp,
    /// Time of the start.
    pub started_at: Option<Timestamp>,
    /// Time of the end.
    pub finished_at: Option<Timestamp>,
}

/// `GET /api/v1/cloudron/progress`: the running jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressReport {
    /// The running backup.
    pub backup: Option<Job>,
    /// The running update.
    pub update: Option<Job>,
    /// The running restore.
    pub restore: Option<Job>,
}

/// `POST /api/v1/backups/{id}/download_url`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadUrl {
    /// The backup.
    pub id: BackupId,
    /// URL of the store, with a final slash, valid until `expires_at`. `?list=PREFIX` returns a JSON array of
    /// [`StoreObject`]; an object's key appended to it returns that object (`Range` is supported). For a
    /// filesystem store it is a path and query of this server, to be resolved against the address of this
    /// request.
    pub url: Secret,
    /// Time at which it expires.
    pub expires_at: Timestamp,
}

/// An object of the backup store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreObject {
    /// Its key, such as `snapshots/backup_….json`.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Modification time, by the clock of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}
