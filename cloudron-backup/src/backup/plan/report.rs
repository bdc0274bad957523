//! What a backup would do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::format::summary::SourceRef;

/// A file that a backup would read: one that it has not seen as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// What a backup would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a plan does nothing else than to say what would be done"]
#[non_exhaustive]
pub struct BackupPlan {
    /// The folders.
    pub sources: Vec<SourceRef>,
    /// How many of each type it would hold, as in [`Summary::entries`](crate::format::summary::Summary::entries).
    pub entries: BTreeMap<String, u64>,
    /// How many regular files it would hold.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// How many of the files would be read, because they are new, changed, or not in the cache.
    pub read_files: u64,
    /// The sizes of those together, in bytes.
    pub read_bytes: u64,
    /// What the backup would add to the store, compressed and encrypted, in bytes.
    pub added_bytes: u64,
    /// How many files or folders could not be read.
    pub errors: u64,
    /// How many things were warned of, the errors included.
    pub warnings: u64,
    /// How long it took to find out, in milliseconds.
    pub duration_ms: u64,
}
