//! What an export did.

use std::path::PathBuf;

use serde::Serialize;

/// What an export to a file did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ExportReport {
    /// The backup.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// The length of the tar in it, in bytes.
    pub tar_bytes: u64,
    /// How much of that tar an earlier export had left, which was not fetched again, in bytes.
    pub resumed_bytes: u64,
}
