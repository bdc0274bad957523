//! The list of a machine's backups.

use std::time::SystemTime;

use cloudron_api::BackupEntry;
use cloudron_core::human::{ago, bytes};
use cloudron_core::table::Table;
use jiff::Timestamp;
use serde::Serialize;

/// A backup in a list, from the server or from a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ListedBackup {
    /// The ID.
    pub id: String,
    /// Time of the start.
    pub creation_time: Timestamp,
    /// The version of the program that made it.
    pub version: String,
    /// The number of files.
    pub files: u64,
    /// Size of the files, in bytes.
    pub bytes: u64,
    /// Growth of the store, in bytes.
    pub added: u64,
    /// True if something is missing from it.
    pub incomplete: bool,
}

impl From<BackupEntry> for ListedBackup {
    fn from(entry: BackupEntry) -> Self {
        let BackupEntry { id, creation_time, version, files, bytes, added, incomplete, .. } = entry;
        let (id, version) = (id.to_string(), version.to_string());
        Self { id, creation_time, version, files, bytes, added, incomplete }
    }
}

impl ListedBackup {
    /// Returns a table of backups, with their ages at a time.
    pub fn table(backups: &[Self], now: SystemTime) -> Table {
        let mut table = Table::new(["Id", "Made", "Version", "Files", "Size", "Added", "State"]);
        for backup in backups {
            let made = SystemTime::try_from(backup.creation_time).map(|t| ago(t, now));
            table.row([
                backup.id.clone(),
                made.unwrap_or_else(|_| "-".into()),
                backup.version.clone(),
                backup.files.to_string(),
                bytes(backup.bytes),
                bytes(backup.added),
                if backup.incomplete { "incomplete" } else { "complete" }.into(),
            ]);
        }
        table
    }
}
