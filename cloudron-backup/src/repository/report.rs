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

/// How thoroughly a repository is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyDepth {
    /// That the objects are there, and what small ones say of each other.
    Quick,
    /// As [`Quick`](Self::Quick), and every byte of so many percent of the packs. Which ones changes from day
    /// to day (UTC): with 5 percent each day, all of them are read once in 20 days.
    Sample(u8),
    /// Every byte.
    Full,
}

/// Something wrong with a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The object.
    pub object: String,
    /// What is wrong with it.
    pub text: String,
    /// The backups that cannot be restored whole because of it, where that is known.
    pub backups: Vec<String>,
    /// Files that are affected, as `<backup id>:<path>`, at most twenty.
    pub files: Vec<String>,
}

/// What a check found.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "a problem is in the report only"]
pub struct VerifyReport {
    /// How many objects were checked.
    pub objects: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// How many backups were checked.
    pub backups: u64,
    /// What was not looked at, for people.
    pub not_checked: Vec<String>,
    /// Objects that count for nothing, because nobody signed them who may: key and reason. They harm nothing.
    pub ignored: Vec<(String, String)>,
    /// Whether it was checked that every file of every backup has all it needs, which takes the identity.
    pub references_checked: bool,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// The backups that restore whole, as far as was checked.
    pub good: Vec<String>,
    /// The backups that do not.
    pub damaged: Vec<String>,
    /// The backups that this machine has seen and that are gone, though the owner did not remove them. They
    /// are among the damaged. Noticed only with [`Repository::with_cache_dir`](crate::Repository::with_cache_dir).
    pub rolled_back: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The report, or an error when something is wrong.
    ///
    /// # Errors
    /// `repository-rolled-back` when backups that were seen are gone; else `verify-failed`, naming the first
    /// problem.
    pub fn good(self) -> Result<Self> {
        let Some(first) = self.problems.first() else { return Ok(self) };
        let text = format!("{} problems, among them {}: {}", self.problems.len(), first.object, first.text);
        if !self.rolled_back.is_empty() {
            let text = format!("{text}; gone are {}", self.rolled_back.join(", "));
            return Err(Error::new(&codes::REPOSITORY_ROLLED_BACK, text));
        }
        Err(Error::new(&codes::VERIFY_FAILED, text))
    }
}

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
