//! The clear summary of a backup.

use std::collections::BTreeMap;

use cloudron_core::{BackupId, Error};
use serde::{Deserialize, Serialize};

/// The manifest that a summary stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRef {
    /// The size of the object in bytes.
    pub size: u64,
    /// The SHA-256 of the object as it is stored, in hex.
    pub sha256: String,
}

/// A source as the summary names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// What it is called.
    pub name: String,
    /// Its absolute path.
    pub path: String,
}

/// What is known of a backup without any key. It is what the object `snapshots/<id>.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The version of this format: 1.
    pub schema: u32,
    /// The name of the backup.
    pub id: BackupId,
    /// The id of the repository.
    pub repository: String,
    /// One more than the highest in the repository when it was made.
    pub sequence: u64,
    /// When it was begun.
    pub time: jiff::Timestamp,
    /// The version of the program that made it.
    pub version: String,
    /// The machine's name, or empty.
    #[serde(default)]
    pub host: String,
    /// The domain that the machine served, or empty.
    #[serde(default)]
    pub fqdn: String,
    /// The folders in it.
    pub sources: Vec<SourceRef>,
    /// How many of each type it holds: `file`, `dir`, `symlink`, `hardlink`, `fifo`, `block`, `char`.
    pub entries: BTreeMap<String, u64>,
    /// How many regular files it holds.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// What the backup added to the store, in bytes.
    pub added_bytes: u64,
    /// How many files or folders could not be read, and are missing from it.
    pub errors: u64,
    /// How many things were warned of, the errors included.
    pub warnings: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The manifest.
    pub manifest: ManifestRef,
}

/// The backups of a repository.
#[derive(Debug, Default)]
pub struct SnapshotList {
    /// Those whose summary could be read, oldest first.
    pub summaries: Vec<Summary>,
    /// The summaries that could not, by object key.
    pub unreadable: Vec<(String, Error)>,
}
