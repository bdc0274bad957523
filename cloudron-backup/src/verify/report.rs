//! Options and reports of checks.

use std::fmt;

use cloudron_core::human::bytes;
use cloudron_core::{Error, Result, escape};
use serde::Serialize;

use crate::codes;
use crate::issue::Issue;

/// The depth of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyDepth {
    /// Checks that the objects exist, and that small ones are consistent with each other.
    Quick,
    /// As [`Quick`](Self::Quick), and reads every byte of this percentage of the packs. The selection changes
    /// every day (UTC): with 5 percent each day, all of them are read once in 20 days.
    Sample(u8),
    /// Reads every byte.
    Full,
}

/// A problem with a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The object.
    pub object: String,
    /// The description of the problem.
    pub text: String,
    /// The backups that cannot be restored completely because of it, if known.
    pub backups: Vec<String>,
    /// The affected files, as `<backup id>:<path>`, at most twenty.
    pub files: Vec<String>,
}

/// The result of a check.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "a problem is in the report only"]
pub struct VerifyReport {
    /// The number of objects checked.
    pub objects: u64,
    /// The number of bytes read.
    pub bytes: u64,
    /// The number of backups checked.
    pub backups: u64,
    /// Parts that were not checked, for people.
    pub not_checked: Vec<String>,
    /// Ignored objects without a valid signature: key and reason. They do no harm.
    pub ignored: Vec<Issue>,
    /// True if it was checked that all content of every file of every backup exists, which requires the identity.
    pub references_checked: bool,
    /// The problems found.
    pub problems: Vec<Problem>,
    /// The backups that can be restored completely, as far as was checked.
    pub good: Vec<String>,
    /// The backups that cannot.
    pub damaged: Vec<String>,
    /// The backups seen by this machine that no longer exist, although the owner did not remove them. They
    /// are among the damaged. Requires [`Repository::with_cache_dir`](crate::Repository::with_cache_dir).
    pub rolled_back: Vec<String>,
}

impl VerifyReport {
    /// Returns true if there is no problem.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// Returns the report, or an error if there is a problem.
    ///
    /// # Errors
    /// `repository-rolled-back` when backups seen before are missing; else `verify-failed`, naming the first problem.
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

/// The problems and the verdict, a line each.
impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backups, objects, .. } = self;
        for Problem { object, text, .. } in &self.problems {
            writeln!(f, "{}", escape::line(&format!("DAMAGED {object}: {text}")))?;
        }
        for id in &self.damaged {
            writeln!(f, "{}", escape::line(&format!("does not restore whole: {id}")))?;
        }
        let verdict = match (self.problems.is_empty(), self.not_checked.is_empty()) {
            (true, true) => "; nothing is damaged or missing",
            (true, false) => "; nothing of that is damaged or missing",
            (false, _) => "",
        };
        write!(f, "{backups} backups, {objects} objects, {} read{verdict}", bytes(self.bytes))?;
        for what in &self.not_checked {
            write!(f, "\n{}", escape::line(&format!("not checked: {what}")))?;
        }
        Ok(())
    }
}
