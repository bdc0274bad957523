//! What looking into backups came to.

use std::fmt;

use cloudron_core::{BackupId, Error, Result};
use serde::Serialize;

use crate::codes;
use crate::snapshot::{FileEntry, Skipped};

/// What a listing came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// How many entries were listed.
    pub entries: u64,
    /// How many of them are regular files.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

/// An entry of a backup that was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// The backup that it is in.
    pub backup: BackupId,
    /// What was found.
    #[serde(flatten)]
    pub entry: FileEntry,
}

/// What a search came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a backup that could not be searched is in the report only"]
pub struct FindReport {
    /// How many backups were searched.
    pub backups: u64,
    /// In how many of them something was found.
    pub backups_with_matches: u64,
    /// How many entries were found, in all backups together.
    pub matches: u64,
    /// The backups that could not be searched.
    pub skipped: Vec<Skipped>,
}

impl FindReport {
    /// Checks that every backup was searched, and that something was found.
    ///
    /// # Errors
    /// `snapshot-corrupt` with the first backup that could not be searched; `path-unknown` when nothing is like these
    /// patterns.
    pub fn found(&self, patterns: &[String]) -> Result<()> {
        if let Some(skipped) = self.skipped.first() {
            let text = format!("{} could not be searched: {}", skipped.backup, skipped.reason);
            return Err(Error::new(&codes::SNAPSHOT_CORRUPT, text));
        }
        if self.matches == 0 {
            let text = format!("none of {} backups holds {}", self.backups, patterns.join(" or "));
            return Err(Error::new(&codes::PATH_UNKNOWN, text));
        }
        Ok(())
    }
}

/// In what way an entry changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is in the later backup only.
    Added,
    /// It is in the earlier backup only.
    Removed,
    /// Another content, or another target of a link. Mode, owner and times may have changed too.
    Content,
    /// The same content with another mode, owner, time or extended attribute.
    Metadata,
    /// Something of another type is there: a folder instead of a file, for instance.
    Type,
}

/// An entry that is not the same in two backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// In what way.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// What it was in the first backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<FileEntry>,
    /// What it is in the second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<FileEntry>,
}

/// Writes a sign for what changed, and the path.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Content => 'M',
            ChangeKind::Metadata => 'm',
            ChangeKind::Type => 'T',
        };
        let entry = self.after.as_ref().or(self.before.as_ref());
        write!(f, "{sign} {}", entry.map(|e| e.path.to_string_lossy()).unwrap_or_default())
    }
}

/// How two backups differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "the numbers of changes are in the report"]
pub struct DiffReport {
    /// How many entries are in the second backup only.
    pub added: u64,
    /// How many are in the first one only.
    pub removed: u64,
    /// How many have another content.
    pub content: u64,
    /// How many have the same content and another mode, owner, time or extended attribute.
    pub metadata: u64,
    /// How many are of another type.
    pub types: u64,
    /// How many are the same.
    pub unchanged: u64,
    /// The sizes of the files that were removed or changed in content or type, as they were, in bytes.
    pub bytes_before: u64,
    /// The sizes of the files that were added or changed in content or type, as they are, in bytes.
    pub bytes_after: u64,
}

impl DiffReport {
    /// Whether the backups hold the same.
    pub fn is_same(&self) -> bool {
        [self.added, self.removed, self.content, self.metadata, self.types] == [0; 5]
    }
}
