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
    /// Its id.
    pub id: BackupId,
    /// When it was begun.
    pub creation_time: Timestamp,
    /// The version of the program that made it.
    pub version: Version,
    /// How many files it holds.
    pub files: u64,
    /// How many bytes those files have.
    pub bytes: u64,
    /// How many bytes it added to the store.
    pub added: u64,
    /// The folders in it.
    pub sources: Vec<String>,
    /// Whether something that belongs to it is missing: a folder did not exist, the command before it failed, or files
    /// could not be read.
    #[serde(default)]
    pub incomplete: bool,
}

/// `GET /api/v1/backups?page=1&per_page=25`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupPage {
    /// The backups of this page.
    pub backups: Vec<BackupEntry>,
    /// The page's number, from 1.
    pub page: u32,
    /// How many backups a page holds.
    pub per_page: u32,
    /// How many backups there are.
    pub total: u64,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Makes a backup.
    Backup,
    /// Installs another version.
    Update,
    /// Puts a backup back.
    Restore,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits to be run.
    Queued,
    /// Runs.
    Running,
    /// Ended well.
    Done,
    /// Ended badly; `error` says why.
    Failed,
}

impl JobState {
    /// Whether the job is over.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// A job of the server: what `POST /api/v1/backups` and `GET /api/v1/jobs/{id}` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// How far it is.
    pub state: JobState,
    /// How much is done, 0 to 100. 100 only when it is over.
    pub percent: u8,
    /// What it does right now, a sentence.
    pub message: String,
    /// Why it failed.
    pub error: Option<ApiError>,
    /// The backup that it makes or made, as soon as its id is known.
    pub backup_id: Option<BackupId>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// `GET /api/v1/cloudron/progress`: what runs now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressReport {
    /// The backup that runs.
    pub backup: Option<Job>,
    /// The update that runs.
    pub update: Option<Job>,
    /// The restore that runs.
    pub restore: Option<Job>,
}

/// `POST /api/v1/backups/{id}/download_url`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadUrl {
    /// The backup.
    pub id: BackupId,
    /// Where the store can be read until then, with a final slash: `?list=PREFIX` gives a JSON array of
    /// [`StoreObject`], an object's key appended to it gives that object (with `Range`). For a filesystem
    /// store it is a path and query of this server, to be resolved against the address that it was asked at.
    pub url: Secret,
    /// When it stops being valid.
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
    /// When it was written, by the clock of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}
