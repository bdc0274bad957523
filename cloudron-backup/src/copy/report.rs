//! Reports of copies.

use std::fmt;

use cloudron_core::human::bytes;
use cloudron_core::{BackupId, Error, Result, escape};
use serde::Serialize;

use crate::codes;
use crate::issue::Issue;
use crate::snapshot::Skipped;

/// The result of copying a repository.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "what was not copied is in the report only"]
pub struct CopyReport {
    /// The number of objects copied.
    pub copied: u64,
    /// The number of bytes copied.
    pub bytes: u64,
    /// The number of objects that existed already, by name and size. They were not read.
    pub present: u64,
    /// The objects not copied: damaged ones, and those that do not belong to a repository. Key and reason.
    pub not_copied: Vec<Issue>,
}

impl CopyReport {
    /// Checks that everything was copied.
    ///
    /// # Errors
    /// `restore-incomplete`: the copy may lack something.
    pub fn complete(&self) -> Result<()> {
        let Some(first) = self.not_copied.first() else { return Ok(()) };
        let text = format!("{} objects were not copied, among them {}", self.not_copied.len(), first.subject);
        Err(Error::new(&codes::RESTORE_INCOMPLETE, text))
    }
}

/// The result of copying backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a backup that was not copied is in the report only"]
pub struct TransferReport {
    /// The backups copied.
    pub copied: Vec<BackupId>,
    /// The backups that the other repository already had.
    pub present: Vec<BackupId>,
    /// The backups not copied, because content is missing or damaged, or another backup of that name exists.
    pub failed: Vec<Skipped>,
    /// The number of files in the copied backups.
    pub files: u64,
    /// The total size of the files, in bytes.
    pub bytes: u64,
    /// The number of bytes added to the other store.
    pub added_bytes: u64,
}

impl TransferReport {
    /// Returns true if every requested backup is in the other repository.
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

/// Writes a line for each backup and its fate, and then the totals.
impl fmt::Display for TransferReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.copied.iter().try_for_each(|id| writeln!(f, "copied  {id}"))?;
        self.present.iter().try_for_each(|id| writeln!(f, "there   {id}"))?;
        for Skipped { backup, reason, .. } in &self.failed {
            writeln!(f, "{}", escape::line(&format!("NOT COPIED {backup}: {reason}")))?;
        }
        write!(f, "{} files, {}; {} added", self.files, bytes(self.bytes), bytes(self.added_bytes))
    }
}
