//! What came of it.

use std::path::PathBuf;

use cloudron_core::{Error, Result};
use serde::Serialize;

use crate::codes;

/// Something that could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its path in the backup.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// What a restore did.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "a restore that left files out says so in its report only"]
pub struct RestoreReport {
    /// How many regular files were restored, those that were there already included.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// How many of them were there already with the right content.
    pub unchanged: u64,
    /// How many entries have another owner or group than in the backup, which only root can change.
    pub owners_lost: u64,
    /// Folders of the backup above what was asked for that were missing, and were restored without what else is in them.
    pub parents: Vec<PathBuf>,
    /// Metadata that could not be set, at most a hundred texts.
    pub warnings: Vec<String>,
    /// How many things were warned of.
    pub warning_count: u64,
    /// What could not be restored, at most a hundred.
    pub failed: Vec<Failure>,
    /// How many could not.
    pub failed_count: u64,
}

impl RestoreReport {
    /// Whether everything was restored. Warnings about metadata do not count.
    pub fn is_complete(&self) -> bool {
        self.failed_count == 0
    }

    /// The report, or an error for one in which metadata could not be set. Owners that only root can set do not count.
    ///
    /// # Errors
    /// `restore-metadata`, naming the first of what is missing.
    pub fn whole(self) -> Result<Self> {
        let Some(first) = self.warnings.first() else { return Ok(self) };
        let text = format!(
            "everything is restored, and {} things are not set, among them {first}",
            self.warning_count
        );
        Err(Error::new(&codes::RESTORE_METADATA, text))
    }

    /// The report, or an error for one that left something out.
    ///
    /// # Errors
    /// `restore-incomplete`, naming the first of what failed.
    pub fn complete(self) -> Result<Self> {
        let Some(first) = self.failed.first() else { return Ok(self) };
        let text = format!(
            "{} could not be restored, among them {}: {}",
            self.failed_count,
            first.path.display(),
            first.reason
        );
        Err(Error::new(&codes::RESTORE_INCOMPLETE, text))
    }
}

/// One thing in which the restored tree is not what the backup says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where it was looked for.
    pub path: PathBuf,
    /// What differs: `missing`, `type`, `content`, `size`, `mode`, `owner`, `mtime`, `xattrs`, `target`,
    /// `hardlink`, `device` or `unreadable`.
    pub what: String,
    /// What the backup says.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// How a tree on disk compares with a backup.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "a difference is in the report only"]
pub struct CompareReport {
    /// How many entries were compared.
    pub entries: u64,
    /// How many bytes of files were read and hashed.
    pub bytes: u64,
    /// The differences, at most a hundred.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub difference_count: u64,
}

impl CompareReport {
    /// Whether the tree is what the backup says.
    pub fn is_identical(&self) -> bool {
        self.difference_count == 0
    }

    /// The report, or an error when there are differences.
    ///
    /// # Errors
    /// `restore-differs`, naming the first of them.
    pub fn identical(self) -> Result<Self> {
        let Some(first) = self.differences.first() else { return Ok(self) };
        let text = format!(
            "{} differ, among them {}: {} is {} instead of {}",
            self.difference_count,
            first.path.display(),
            first.what,
            first.found,
            first.expected
        );
        Err(Error::new(&codes::RESTORE_DIFFERS, text))
    }
}
