//! The clear summary of a backup.

use std::collections::BTreeMap;

use cloudron_core::{BackupId, Error, Result};
use serde::{Deserialize, Serialize};

use crate::keys::{Signer, WriterId};
use crate::{codes, layout};

/// The version of the summary's format.
pub(crate) const SCHEMA: u32 = 2;
/// The start of the signed text, so that the signature counts for nothing else.
pub(crate) const SIGNED: &[u8] = b"cloudron-backup summary v2\n";
/// The start of the signed text in format 1.
pub(crate) const FIRST_SIGNED: &[u8] = b"cloudron-backup summary v1\n";

/// The manifest that a summary stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRef {
    /// The size of the object in bytes.
    pub size: u64,
    /// The SHA-256 of the object as it is stored, in hex.
    pub sha256: String,
}

/// A source as the summary names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// What it is called.
    pub name: String,
    /// Its absolute path.
    pub path: String,
}

/// Where a backup was made that was brought into its repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The id of the repository, or empty for an import.
    pub repository: String,
    /// Its number there, or 0.
    pub sequence: u64,
    /// Its writer there, whose backups the number counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<WriterId>,
}

/// What is known of a backup without any key. It is what the object `snapshots/<id>.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The version of this format: 2, or 1 in a repository of format 1.
    pub schema: u32,
    /// The name of the backup.
    pub id: BackupId,
    /// The id of the repository.
    pub repository: String,
    /// One more than the highest of its writer in the repository when it was made.
    pub sequence: u64,
    /// The writer that signed it. None in a repository of format 1.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub writer: Option<WriterId>,
    /// Where it was made, if not in this repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// When it was begun.
    pub time: jiff::Timestamp,
    /// The version of the program that made it.
    pub version: String,
    /// The machine's name, or empty.
    #[serde(default)]
    pub host: String,
    /// The domain that the machine served, or empty.
    #[serde(default)]
    pub fqdn: String,
    /// What its maker marked it with, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The folders in it.
    pub sources: Vec<SourceRef>,
    /// How many of each type it holds: `file`, `dir`, `symlink`, `hardlink`, `fifo`, `block`, `char`.
    pub entries: BTreeMap<String, u64>,
    /// How many regular files it holds.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// What the backup added to the store, in bytes.
    pub added_bytes: u64,
    /// How many files or folders could not be read, and are missing from it.
    pub errors: u64,
    /// How many things were warned of, the errors included.
    pub warnings: u64,
    /// How many entries are in it without their extended attributes, which could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub downgraded: u64,
    /// How many files and folders patterns left out, not counting what is in those folders.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub excluded: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The manifest.
    pub manifest: ManifestRef,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Summary {
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

    /// Checks that the summary is where it belongs, and was not put in the place of another one.
    pub(crate) fn check_place(&self, name: &str, repository: &str) -> Result<()> {
        if self.id.as_str() == name && self.repository == repository {
            return Ok(());
        }
        let text = format!("the summary of {name} is that of {} in repository {}", self.id, self.repository);
        Err(Error::new(&codes::SNAPSHOT_CORRUPT, text))
    }

    /// Where the manifest is.
    pub(crate) fn manifest_key(&self) -> String {
        match self.schema {
            1 => layout::first_manifest(&self.id),
            _ => layout::manifest(&self.manifest.sha256),
        }
    }

    /// The object, signed.
    pub(crate) fn sign(&self, signer: &Signer) -> Vec<u8> {
        signer.sign(&Self { writer: None, ..self.clone() }, SIGNED)
    }
}

/// The object in the place of the summary of a backup that was declared dead, so that it can never be made.
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

/// A summary for tests.
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

/// Whether an error says that an object is no summary that counts.
pub(crate) fn is_about_the_object(error: &Error) -> bool {
    [&codes::SNAPSHOT_CORRUPT, &codes::SNAPSHOT_FORGED, &codes::REPOSITORY_NEWER, &codes::OBJECT_CORRUPT]
        .iter()
        .any(|code| error.is(code))
}
