//! Unencrypted objects: summaries, tombstones, locks, notes of forgotten backups, certificates, descriptions.

use serde_json::{Value, json};

use super::{Forge, Object, hash, merged};

/// Returns the time in the name of a backup, in the form of a summary.
fn time_of(id: &str) -> String {
    let time = id.split('_').nth(1).unwrap_or("2026-01-01T00-00-00Z");
    let (day, clock) = time.split_at(time.len().min(11));
    format!("{day}{}", clock.replace('-', ":"))
}

impl Forge {
    /// Returns the key of a backup's manifest.
    #[must_use]
    pub fn manifest_key(&self, id: &str, manifest: &[u8]) -> String {
        match self.version {
            1 => format!("snapshots/{id}.age"),
            _ => format!("snapshots/{}.age", hash(manifest)),
        }
    }

    /// Creates a signed summary; the members of `change` replace its own.
    #[must_use]
    pub fn summary(&self, id: &str, sequence: u64, manifest: &[u8], change: &Value) -> Object {
        let summary = json!({
            "schema": self.version, "id": id, "repository": self.repository, "sequence": sequence,
            "time": time_of(id), "version": "0.1.0", "host": "", "fqdn": "",
            "sources": [{"name": "x", "path": "/x"}], "entries": {"file": 1}, "files": 1, "bytes": 1,
            "added_bytes": 0, "errors": 0, "warnings": 0, "duration_ms": 1,
            "manifest": {"size": manifest.len(), "sha256": hash(manifest)},
        });
        let summary = self.certified(merged(summary, change));
        (format!("snapshots/{id}.json"), self.signed(summary, "summary"))
    }

    /// Creates a complete backup: manifest and summary.
    #[must_use]
    pub fn backup(&self, id: &str, sequence: u64, manifest: Vec<u8>, change: &Value) -> Vec<Object> {
        let summary = self.summary(id, sequence, &manifest, change);
        vec![(self.manifest_key(id, &manifest), manifest), summary]
    }

    /// Creates a tombstone in the place of a summary.
    #[must_use]
    pub fn tombstone(&self, id: &str) -> Object {
        let mut tombstone =
            json!({"schema": self.version, "id": id, "repository": self.repository, "aborted": true});
        if self.version > 1 {
            tombstone["writer"] = self.writer().into();
        }
        (format!("snapshots/{id}.json"), self.signed(self.certified(tombstone), "summary"))
    }

    /// Creates a lock of that name; the members of `change` replace its own.
    #[must_use]
    pub fn lock(&self, name: &str, change: &Value) -> Object {
        let lock = json!({
            "lock": self.version, "id": name, "host": "", "started": "2026-11-24T03:00:00Z", "expiry": 1800,
        });
        let lock = self.certified(merged(lock, change));
        (format!("locks/{name}.json"), self.signed(lock, "lock"))
    }

    /// Creates a note that the backups with these numbers were removed, of a writer if numbers count per writer.
    #[must_use]
    pub fn forgotten(&self, writer: &str, ranges: &[(u64, u64)]) -> Object {
        let mut note = json!({
            "forgotten": self.version, "repository": self.repository,
            "sequences": ranges.iter().map(|(first, last)| json!([first, last])).collect::<Vec<_>>(),
        });
        if self.version > 1 {
            note["writer"] = writer.into();
        }
        let content = self.signed(note, "forgotten");
        (format!("forgotten/{}.json", hash(&content)), content)
    }

    /// Creates a certificate for the attacker's own key, signed by the attacker.
    #[must_use]
    pub fn own_certificate(&self, name: &str) -> Value {
        let certificate = json!({
            "certificate": 1, "repository": self.repository, "name": name,
            "key": hex::encode(self.signing.verifying_key().as_bytes()), "created": "2026-11-24T03:00:00Z",
        });
        let content = self.clone().of_version(2).signed(certificate, "certificate");
        serde_json::from_slice(&content).expect("it is JSON")
    }

    /// Creates an object `writers/<hash>.json` from any JSON.
    #[must_use]
    pub fn writer_object(&self, object: &Value) -> Object {
        let content = serde_json::to_vec(object).expect("it is JSON");
        (format!("writers/{}.json", hash(&content)), content)
    }

    /// Creates a revocation of that writer, signed by the attacker.
    #[must_use]
    pub fn revocation(&self, writer: &str) -> Object {
        let revocation = json!({
            "revocation": 1, "repository": self.repository, "writer": writer, "time": "2026-11-24T03:00:00Z",
            "keep": [],
        });
        let content = self.clone().of_version(2).signed(revocation, "revocation");
        (format!("writers/{}.json", hash(&content)), content)
    }

    /// Creates the statement for a key object, signed by the attacker.
    #[must_use]
    pub fn key_statement(&self, key: &Object) -> Object {
        let statement = json!({"key": 1, "repository": self.repository, "object": hash(&key.1)});
        let content = self.clone().of_version(2).signed(statement, "key");
        (key.0.replace(".age", ".json"), content)
    }

    /// Creates a description in which the members of `change` replace the original ones, signed by the attacker.
    #[must_use]
    pub fn description(&self, original: &[u8], change: &Value) -> Object {
        let original = serde_json::from_slice(original).expect("a description is JSON");
        ("cloudron-backup.json".to_owned(), self.signed(merged(original, change), "config"))
    }
}
