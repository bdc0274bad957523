//! The request and answer of restoring a backup on a machine.

use std::path::PathBuf;

use cloudron_core::{BackupId, Secret};
use serde::{Deserialize, Serialize};

/// The name of the source that holds the database with users and event log.
pub const STATE: &str = "state";

/// The name of the source that holds the data folder.
pub const DATA: &str = "data";

/// The request to restore a backup. It contains a secret, so it is passed on standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRequest {
    /// A backup ID, or `latest`.
    pub backup: String,
    /// The repository's secret key, in the text form of `cloudron_backup::Identity`. It is kept in memory
    /// only.
    pub identity: Secret,
    /// True if files that exist and differ are overwritten.
    #[serde(default)]
    pub overwrite: bool,
    /// Folders outside the server's own that the owner confirmed, as returned by [`beyond`].
    #[serde(default)]
    pub paths: Vec<PathBuf>,
}

/// Returns the folders that a server's backup restores outside its state and data, given the name and path of
/// each source. The list was written by the server, so a compromised server may have added any folder.
#[must_use]
pub fn beyond<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<PathBuf> {
    let mut own = vec![STATE, DATA];
    let others = sources.into_iter().filter(|(source, _)| match own.iter().position(|name| name == source) {
        // A second source with that name is not the server's own.
        Some(at) => {
            own.swap_remove(at);
            false
        }
        None => true,
    });
    others.map(|(_, path)| PathBuf::from(path)).collect()
}

/// The answer to a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreAnswer {
    /// The backup.
    pub backup: BackupId,
    /// The number of files in it.
    pub files: u64,
    /// Size of the files, in bytes.
    pub bytes: u64,
    /// The number of files, folders and links that were read back and equal the backup.
    pub compared: u64,
}
