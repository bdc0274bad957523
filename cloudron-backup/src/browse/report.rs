//! Reports of listing, searching and comparing backups.

use std::fmt;

use cloudron_core::human::bytes;
use cloudron_core::{BackupId, Error, Result};
use serde::Serialize;

use crate::codes;
use crate::snapshot::{FileEntry, Skipped};

/// The result of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// The number of entries listed.
    pub entries: u64,
    /// The number of regular files among them.
    pub files: u64,
    /// The total size of the files, in bytes.
    pub bytes: u64,
}

/// An entry found in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// The backup.
    pub backup: BackupId,
    /// The entry.
    #[serde(flatten)]
    pub entry: FileEntry,
}

/// The result of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a backup that could not be searched is in the report only"]
pub struct FindReport {
    /// The number of backups searched.
    pub backups: u64,
    /// The number of backups with matches.
    pub backups_with_matches: u64,
    /// The number of matches in all backups.
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

/// The kind of change of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The entry is only in the later backup.
    Added,
    /// The entry is only in the earlier backup.
    Removed,
    /// Different content or link target. Mode, owner and times may differ too.
    Content,
    /// Equal content with a different mode, owner, time or extended attribute.
    Metadata,
    /// A different type: a folder instead of a file, for instance.
    Type,
}

/// An entry that differs between two backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The kind of change.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// The entry in the first backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<FileEntry>,
    /// The entry in the second backup.
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

/// The result of comparing two backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "the numbers of changes are in the report"]
pub struct DiffReport {
    /// The number of entries only in the second backup.
    pub added: u64,
    /// The number of entries only in the first backup.
    pub removed: u64,
    /// The number of entries with different content.
    pub content: u64,
    /// The number of entries with the same content and a different mode, owner, time or extended attribute.
    pub metadata: u64,
    /// The number of entries of a different type.
    pub types: u64,
    /// The number of unchanged entries.
    pub unchanged: u64,
    /// The total size in the first backup of files removed or changed in content or type, in bytes.
    pub bytes_before: u64,
    /// The total size in the second backup of files added or changed in content or type, in bytes.
    pub bytes_after: u64,
}

impl DiffReport {
    /// Returns true if the backups have the same content.
    pub fn is_same(&self) -> bool {
        [self.added, self.removed, self.content, self.metadata, self.types] == [0; 5]
    }
}

/// The numbers of changes, in one line.
impl fmt::Display for DiffReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, content, metadata, types, .. } = self;
        write!(
            f,
            "{added} added, {removed} removed, {content} with another content, {metadata} with other metadata, {types} of \
             another type; {} became {}",
            bytes(self.bytes_before),
            bytes(self.bytes_after)
        )
    }
}
