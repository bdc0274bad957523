//! What a copy did.

use cloudron_core::{BackupId, Error, Result};
use serde::Serialize;

use crate::codes;
use crate::snapshot::Skipped;

/// What a copy did.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "what was not copied is in the report only"]
pub struct CopyReport {
    /// How many objects were copied.
    pub copied: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many objects were there already, by name and size. They were not read.
    pub present: u64,
    /// What was not copied: damaged objects, and what is none of a repository. Key and reason.
    pub not_copied: Vec<(String, String)>,
}

impl CopyReport {
    /// Checks that everything was copied.
    ///
    /// # Errors
    /// `restore-incomplete`: the copy may lack something.
    pub fn complete(&self) -> Result<()> {
        let Some((first, _)) = self.not_copied.first() else { return Ok(()) };
        let text = format!("{} objects were not copied, among them {first}", self.not_copied.len());
        Err(Error::new(&codes::RESTORE_INCOMPLETE, text))
    }
}

/// What a copy of backups did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a backup that was not copied is in the report only"]
pub struct TransferReport {
    /// The backups that were copied.
    pub copied: Vec<BackupId>,
    /// Those that were in the other repository already.
    pub present: Vec<BackupId>,
    /// Those that were not copied, because something of them is missing or damaged, or another backup of that
    /// name is there.
    pub failed: Vec<Skipped>,
    /// How many files the copied backups hold.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// What was added to the other store, in bytes.
    pub added_bytes: u64,
}

impl TransferReport {
    /// Whether every backup that was asked for is in the other repository.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }

    /// Checks that every backup that was asked for is in the other repository.
    ///
    /// # Errors
    /// `restore-incomplete`, with the first that is not.
    pub fn complete(&self) -> Result<()> {
        let Some(failed) = self.failed.first() else { return Ok(()) };
        let text = format!("{} was not copied: {}", failed.backup, failed.reason);
        Err(Error::new(&codes::RESTORE_INCOMPLETE, text))
    }
}
