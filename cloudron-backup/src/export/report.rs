//! The report of an export.

use std::fmt;
use std::path::PathBuf;

use cloudron_core::human::bytes;
use serde::Serialize;

/// The result of an export to a file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ExportReport {
    /// The backup.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The length of the tar in it, in bytes.
    pub tar_bytes: u64,
    /// The part of the tar kept from an earlier export, which was not fetched again, in bytes.
    pub resumed_bytes: u64,
}

/// Names the file and its size.
impl fmt::Display for ExportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.path.display(), bytes(self.bytes))?;
        match self.resumed_bytes {
            0 => write!(f, ")"),
            before => write!(f, ", {} of it from before)", bytes(before)),
        }
    }
}
