//! The request for a comparison of backups.

use std::path::PathBuf;

use cloudron_core::BackupId;

/// Two backups that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffRequest {
    /// The first backup.
    pub before: BackupId,
    /// The second backup.
    pub after: BackupId,
    /// Only these paths and what is below them. Empty for everything.
    pub only: Vec<PathBuf>,
}

impl DiffRequest {
    /// A comparison of everything in two backups.
    pub fn new(before: BackupId, after: BackupId) -> Self {
        Self { before, after, only: Vec::new() }
    }

    /// Limits the comparison to these paths and what is below them.
    pub fn with_only(self, only: Vec<PathBuf>) -> Self {
        Self { only, ..self }
    }
}
