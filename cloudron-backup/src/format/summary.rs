//! The clear-text summary of a backup.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use cloudron_core::human::{ago, bytes};
use cloudron_core::table::Table;
use cloudron_core::{BackupId, Error, Result};
use serde::{Deserialize, Serialize};

use crate::keys::{Signer, WriterId};
use crate::{codes, layout};

/// The version of the summary's format.
pub(crate) const SCHEMA: u32 = 2;
/// The start of the signed text, so that the signature is valid for summaries only.
pub(crate) const SIGNED: &[u8] = b"cloudron-backup summary v2\n";
/// The start of the signed text in format 1.
pub(crate) const FIRST_SIGNED: &[u8] = b"cloudron-backup summary v1\n";

/// The manifest of a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRef {
    /// The size of the object in bytes.
    pub size: u64,
    /// The SHA-256 of the stored object, in hex.
    pub sha256: String,
}

/// A source in a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// The name.
    pub name: String,
    /// The absolute path.
    pub path: String,
}

/// The origin of a backup that was copied or imported into its repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The id of the repository, or empty for an import.
    pub repository: String,
    /// The sequence number there, or 0.
    pub sequence: u64,
    /// The writer there, whose backups the number counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<WriterId>,
}

/// Public information about a backup: the content of the object `snapshots/<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The version of this format: 2, or 1 in a repository of format 1.
    pub schema: u32,
    /// The name of the backup.
    pub id: BackupId,
    /// The id of the repository.
    pub repository: String,
    /// The sequence number: one more than the highest of its writer in the repository when it was made.
    pub sequence: u64,
    /// The writer that signed it. `None` in a repository of format 1.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub writer: Option<WriterId>,
    /// The origin, if it was not made in this repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Start of the backup.
    pub time: jiff::Timestamp,
    /// The version of the program.
    pub version: String,
    /// The machine's name. May be empty.
    #[serde(default)]
    pub host: String,
    /// The domain that the machine served. May be empty.
    #[serde(default)]
    pub fqdn: String,
    /// The tags, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The folders and files in it.
    pub sources: Vec<SourceRef>,
    /// The number of entries by type: `file`, `dir`, `symlink`, `hardlink`, `fifo`, `block`, `char`.
    pub entries: BTreeMap<String, u64>,
    /// The number of regular files.
    pub files: u64,
    /// The total size of the files, in bytes.
    pub bytes: u64,
    /// The bytes that the backup added to the store.
    pub added_bytes: u64,
    /// The number of files or folders that could not be read, and are missing from it.
    pub errors: u64,
    /// The number of warnings, including errors.
    pub warnings: u64,
    /// The number of entries without their extended attributes, which could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub downgraded: u64,
    /// The number of files and folders excluded by patterns, not counting the content of those folders.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub excluded: u64,
    /// The duration in milliseconds.
    pub duration_ms: u64,
    /// The manifest.
    pub manifest: ManifestRef,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The id, and in a second line what the backup holds.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (held, added) = (bytes(self.bytes), bytes(self.added_bytes));
        let seconds = self.duration_ms as f64 / 1000.0;
        write!(f, "{}\n{} files, {held}; {added} added in {seconds:.1} s", self.id, self.files)
    }
}

impl Summary {
    /// Returns a table of backups, with their ages at a time.
    pub fn table(backups: &[Self], now: SystemTime) -> Table {
        let mut table = Table::new(["Id", "Made", "Host", "Files", "Size", "Added", "Tags", "Folders"]);
        for backup in backups {
            let folders: Vec<&str> = backup.sources.iter().map(|s| s.path.as_str()).collect();
            table.row([
                backup.id.to_string(),
                SystemTime::try_from(backup.time).map_or_else(|_| "-".into(), |t| ago(t, now)),
                backup.host.clone(),
                backup.contents(),
                bytes(backup.bytes),
                bytes(backup.added_bytes),
                backup.tags.join(","),
                folders.join(" "),
            ]);
        }
        table
    }

    /// How many files the backup holds, and what is not in it, for people.
    pub fn contents(&self) -> String {
        let besides =
            [(self.errors, "missing"), (self.downgraded, "without attributes"), (self.excluded, "excluded")];
        let besides = besides.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}"));
        std::iter::once(self.files.to_string()).chain(besides).collect()
    }

    /// Checks that everything that was to be backed up is in it, with its attributes.
    ///
    /// # Errors
    /// `files-left-out`.
    pub fn complete(&self) -> Result<()> {
        let text = match (self.errors, self.downgraded) {
            (0, 0) => return Ok(()),
            (0, n) => format!("{n} files or folders are in {} without their extended attributes", self.id),
            (n, _) => format!("{n} files or folders could not be read and are not in {}", self.id),
        };
        Err(Error::new(&codes::FILES_LEFT_OUT, text))
    }

    /// Checks that the summary belongs to this name and repository, and was not copied from another place.
    pub(crate) fn check_place(&self, name: &str, repository: &str) -> Result<()> {
        if self.id.as_str() == name && self.repository == repository {
            return Ok(());
        }
        let text = format!("the summary of {name} is that of {} in repository {}", self.id, self.repository);
        Err(Error::new(&codes::SNAPSHOT_CORRUPT, text))
    }

    /// Returns the key of the manifest.
    pub(crate) fn manifest_key(&self) -> String {
        match self.schema {
            1 => layout::first_manifest(&self.id),
            _ => layout::manifest(&self.manifest.sha256),
        }
    }

    /// Returns the signed object.
    pub(crate) fn sign(&self, signer: &Signer) -> Vec<u8> {
        signer.sign(&Self { writer: None, ..self.clone() }, SIGNED)
    }
}

/// Returns the object that replaces the summary of a backup declared dead, so that the backup can never be completed.
pub(crate) fn tombstone(id: &BackupId, repository: &str, writer: WriterId, signer: &Signer) -> Vec<u8> {
    #[derive(Serialize)]
    struct Tombstone<'a> {
        schema: u32,
        id: &'a BackupId,
        repository: &'a str,
        aborted: bool,
        writer: WriterId,
    }
    signer.sign(&Tombstone { schema: SCHEMA, id, repository, aborted: true, writer }, SIGNED)
}

/// Returns a summary for tests.
#[cfg(test)]
pub(crate) fn example() -> Summary {
    Summary {
        schema: SCHEMA,
        id: "backup_2026-01-02T03-04-05Z_v1.0.0".parse().unwrap(),
        repository: "ab".into(),
        sequence: 1,
        writer: None,
        origin: None,
        time: jiff::Timestamp::UNIX_EPOCH,
        version: "1.0.0".into(),
        host: "höst \"x\"".into(),
        fqdn: String::new(),
        tags: vec!["t".into()],
        sources: vec![SourceRef { name: "n".into(), path: "/p".into() }],
        entries: BTreeMap::from([("file".into(), 1)]),
        files: 1,
        bytes: 2,
        added_bytes: 3,
        errors: 0,
        warnings: 0,
        downgraded: 0,
        excluded: 0,
        duration_ms: 4,
        manifest: ManifestRef { size: 5, sha256: "00".into() },
    }
}

/// Checks whether an error means that an object is no valid summary.
pub(crate) fn is_about_the_object(error: &Error) -> bool {
    [&codes::SNAPSHOT_CORRUPT, &codes::SNAPSHOT_FORGED, &codes::REPOSITORY_NEWER, &codes::OBJECT_CORRUPT]
        .iter()
        .any(|code| error.is(code))
}
