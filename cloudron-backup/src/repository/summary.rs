//! The clear summary of a backup.

use std::collections::BTreeMap;

use cloudron_core::{BackupId, Error, Result};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sign;
use crate::codes;

/// The version of the summary's format.
pub(crate) const SCHEMA: u32 = 1;
/// What the signed text starts with, so that the signature counts for nothing else.
const SIGNED: &[u8] = b"cloudron-backup summary v1\n";

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
}

/// What is known of a backup without any key. It is what the object `snapshots/<id>.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The version of this format: 1.
    pub schema: u32,
    /// The name of the backup.
    pub id: BackupId,
    /// The id of the repository.
    pub repository: String,
    /// One more than the highest in the repository when it was made.
    pub sequence: u64,
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
    /// Reads the object `snapshots/<id>.json`.
    ///
    /// # Errors
    /// `snapshot-corrupt`, `repository-newer`; `backup-aborted` for a [`tombstone`].
    pub(crate) fn parse(content: &[u8]) -> Result<Self> {
        let corrupt = |e: serde_json::Error| {
            Error::new(&codes::SNAPSHOT_CORRUPT, format!("the summary cannot be read: {e}"))
        };
        let value: Value = serde_json::from_slice(content).map_err(corrupt)?;
        match value.get("schema").and_then(Value::as_u64) {
            Some(n) if n > u64::from(SCHEMA) => {
                let text = format!("the summary has format {n}, which this program does not know");
                Err(Error::new(&codes::REPOSITORY_NEWER, text))
            }
            _ if value.get("aborted") == Some(&Value::Bool(true)) => {
                Err(Error::new(&codes::BACKUP_ABORTED, "the backup was declared dead before it was made"))
            }
            _ => serde_json::from_value(value).map_err(corrupt),
        }
    }

    /// Checks that the summary is where it belongs, and was not put in the place of another one.
    pub(crate) fn check_place(&self, name: &str, repository: &str) -> Result<()> {
        if self.id.as_str() == name && self.repository == repository {
            return Ok(());
        }
        let text = format!("the summary of {name} is that of {} in repository {}", self.id, self.repository);
        Err(Error::new(&codes::SNAPSHOT_CORRUPT, text))
    }

    /// The object, signed.
    pub(crate) fn sign(&self, key: &SigningKey) -> Vec<u8> {
        sign::signed_json(self, SIGNED, key)
    }
}

/// What stands in the place of the summary of a backup that was declared dead, so that it can never be made.
pub(crate) fn tombstone(id: &BackupId, repository: &str, key: &SigningKey) -> Vec<u8> {
    #[derive(Serialize)]
    struct Tombstone<'a> {
        schema: u32,
        id: &'a BackupId,
        repository: &'a str,
        aborted: bool,
    }
    sign::signed_json(&Tombstone { schema: SCHEMA, id, repository, aborted: true }, SIGNED, key)
}

/// Checks the signature of a summary, over all that is in it, what this program does not know included.
///
/// # Errors
/// `snapshot-forged`; `snapshot-corrupt` for what is not JSON.
pub(crate) fn check_signature(content: &[u8], key: &VerifyingKey) -> Result<()> {
    let value: Value = serde_json::from_slice(content)
        .map_err(|e| Error::new(&codes::SNAPSHOT_CORRUPT, format!("the summary cannot be read: {e}")))?;
    if sign::is_signed(&value, SIGNED, key) {
        return Ok(());
    }
    Err(Error::new(&codes::SNAPSHOT_FORGED, "the summary is not signed by a key of this repository"))
}

/// The backups of a repository.
#[derive(Debug, Default)]
pub struct SnapshotList {
    /// Those whose summary could be read, by the time in their names, oldest first.
    pub summaries: Vec<Summary>,
    /// The summaries that could not, by object key.
    pub unreadable: Vec<(String, Error)>,
}

/// A summary for tests.
#[cfg(test)]
pub(crate) fn example() -> Summary {
    Summary {
        schema: SCHEMA,
        id: "backup_2026-01-02T03-04-05Z_v1.0.0".parse().unwrap(),
        repository: "ab".into(),
        sequence: 1,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_that_was_changed_anywhere_is_forged() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let object = example().sign(&key);
        check_signature(&object, &key.verifying_key()).unwrap();
        assert_eq!(Summary::parse(&object).unwrap(), example());
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert!(check_signature(&object, &other).unwrap_err().is(&codes::SNAPSHOT_FORGED));
        let text = String::from_utf8(object).unwrap();
        for (from, to) in
            [("\"bytes\": 2", "\"bytes\": 9"), ("/p", "/q"), ("\"files\"", "\"extra\": 1, \"files\"")]
        {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            let error = check_signature(changed.as_bytes(), &key.verifying_key()).unwrap_err();
            assert!(error.is(&codes::SNAPSHOT_FORGED), "{to}");
        }
    }

    #[test]
    fn the_layout_of_the_json_does_not_matter_to_the_signature() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let value: Value = serde_json::from_slice(&example().sign(&key)).unwrap();
        check_signature(value.to_string().as_bytes(), &key.verifying_key()).unwrap();
    }

    #[test]
    fn members_that_a_later_program_wrote_are_ignored_and_covered_by_the_signature() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let mut value = serde_json::to_value(example()).unwrap();
        value["later"] = serde_json::json!({"unknown": [1, "x"]});
        let object = sign::signed_json(&value, SIGNED, &key);
        check_signature(&object, &key.verifying_key()).unwrap();
        assert_eq!(Summary::parse(&object).unwrap(), example());
        let changed = String::from_utf8(object).unwrap().replace("unknown", "changed");
        assert!(check_signature(changed.as_bytes(), &key.verifying_key()).is_err());
    }
}
