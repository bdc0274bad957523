//! Reports of restores and comparisons.

use std::path::PathBuf;

use cloudron_core::{Error, Result};
use serde::Serialize;

use crate::codes;

/// An entry that could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The path in the backup.
    pub path: PathBuf,
    /// The reason.
    pub reason: String,
}

/// The result of a restore.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "a restore that left files out says so in its report only"]
pub struct RestoreReport {
    /// The number of regular files restored, including those that already existed.
    pub files: u64,
    /// The total size of these files, in bytes.
    pub bytes: u64,
    /// The number of files that already existed with the right content.
    pub unchanged: u64,
    /// The number of entries whose owner or group differs from the backup, because only root can set it.
    pub owners_lost: u64,
    /// Missing parent folders of the requested paths, which were created without their other content.
    pub parents: Vec<PathBuf>,
    /// Metadata that could not be set, at most a hundred texts.
    pub warnings: Vec<String>,
    /// The number of warnings.
    pub warning_count: u64,
    /// Entries that could not be restored, at most a hundred.
    pub failed: Vec<Failure>,
    /// The number of entries that could not be restored.
    pub failed_count: u64,
}

impl RestoreReport {
    /// Returns true if everything was restored. Warnings about metadata do not count.
    pub fn is_complete(&self) -> bool {
        self.failed_count == 0
    }

    /// Returns the report, or an error if some metadata could not be set. Owners that only root can set do
    /// not count.
    ///
    /// # Errors
    /// `restore-metadata`, naming the first failure.
    pub fn whole(self) -> Result<Self> {
        let Some(first) = self.warnings.first() else { return Ok(self) };
        let text = format!(
            "everything is restored, and {} things are not set, among them {first}",
            self.warning_count
        );
        Err(Error::new(&codes::RESTORE_METADATA, text))
    }

    /// Returns the report, or an error if an entry is missing.
    ///
    /// # Errors
    /// `restore-incomplete`, naming the first failure.
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

/// A difference between the restored tree and the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The path on disk.
    pub path: PathBuf,
    /// The kind of difference: `missing`, `type`, `content`, `size`, `mode`, `owner`, `mtime`, `xattrs`,
    /// `target`, `hardlink`, `device` or `unreadable`.
    pub what: String,
    /// The value in the backup.
    pub expected: String,
    /// The value on disk.
    pub found: String,
}

/// The result of comparing a tree on disk with a backup.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "a difference is in the report only"]
pub struct CompareReport {
    /// The number of entries compared.
    pub entries: u64,
    /// The number of bytes of files read and hashed.
    pub bytes: u64,
    /// The differences, at most a hundred.
    pub differences: Vec<Difference>,
    /// The number of differences.
    pub difference_count: u64,
}

impl CompareReport {
    /// Returns true if the tree is identical to the backup.
    pub fn is_identical(&self) -> bool {
        self.difference_count == 0
    }

    /// Returns the report, or an error if there are differences.
    ///
    /// # Errors
    /// `restore-differs`, naming the first difference.
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
