//! The report of a dry run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use cloudron_core::human::bytes;
use serde::Serialize;

use crate::format::summary::SourceRef;

/// A file that a backup would read, because it is new or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// The absolute path.
    pub path: PathBuf,
    /// The size in bytes.
    pub size: u64,
}

/// The result of a dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a plan does nothing else than to say what would be done"]
#[non_exhaustive]
pub struct BackupPlan {
    /// The folders and files.
    pub sources: Vec<SourceRef>,
    /// The number of entries by type, as in [`Summary::entries`](crate::format::summary::Summary::entries).
    pub entries: BTreeMap<String, u64>,
    /// The number of regular files.
    pub files: u64,
    /// The total size of the files, in bytes.
    pub bytes: u64,
    /// The number of files to read, because they are new, changed, or not in the cache.
    pub read_files: u64,
    /// The total size of the files to read, in bytes.
    pub read_bytes: u64,
    /// The bytes that the backup would add to the store, compressed and encrypted.
    pub added_bytes: u64,
    /// The number of files or folders that could not be read.
    pub errors: u64,
    /// The number of warnings, including errors.
    pub warnings: u64,
    /// The duration of the dry run, in milliseconds.
    pub duration_ms: u64,
}

/// Writes how much would be read and added, as one line.
impl fmt::Display for BackupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, read, added) = (bytes(self.bytes), bytes(self.read_bytes), bytes(self.added_bytes));
        write!(
            f,
            "{} files, {all}; would read {} files, {read}, and add {added}",
            self.files, self.read_files
        )
    }
}
