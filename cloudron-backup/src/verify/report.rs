//! What is asked of a check, and what it found.

use cloudron_core::{Error, Result};
use serde::Serialize;

use crate::codes;

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
