//! What putting a backup back on a machine takes and gives.

use std::path::PathBuf;

use cloudron_core::{BackupId, Secret};
use serde::{Deserialize, Serialize};

/// The name of the source that holds the database with users and event log.
pub const STATE: &str = "state";

/// The name of the source that holds the data folder.
pub const DATA: &str = "data";

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
    /// The folders beyond the server's own that the owner confirmed, as [`beyond`] gives them.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
}

/// The folders that a backup of a server puts back beyond its state and its data, as they were included there, of the
/// name and path of each of its sources. The server wrote this list, and one that was taken over may have written
/// anything.
#[must_use]
pub fn beyond<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<PathBuf> {
    let mut own = vec![STATE, DATA];
    let others = sources.into_iter().filter(|(source, _)| match own.iter().position(|name| name == source) {
        // A further one of that name is not the server's own.
        Some(at) => {
            own.swap_remove(at);
            false
        }
        None => true,
    });
    others.map(|(_, path)| PathBuf::from(path)).collect()
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
    /// How many files, folders and links were read back and found equal to the backup.
    pub compared: u64,
}
