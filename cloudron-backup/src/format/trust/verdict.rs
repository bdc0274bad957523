//! Judges objects in the place of a summary.

use cloudron_core::{BackupId, Error, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{Root, Source, Trust};
use crate::format::summary::{self, Summary};
use crate::keys::signer::CERTIFICATE;
use crate::keys::{Certificate, WriterId, sign};
use crate::{codes, layout};

/// The meaning of an object in a slot for a writer that looks for the place of its backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The backup of that writer.
    Made,
    /// A valid tombstone of that writer's backup.
    Dead,
    /// Any other object: it occupies the slot without further meaning.
    Other,
}

/// A valid object in the place of a summary.
enum Slot {
    Summary(Box<Summary>),
    /// A tombstone of this writer's backup; without a writer in format 1.
    Tombstone(Option<WriterId>),
}

/// The fields of a tombstone.
#[derive(Deserialize)]
struct Tombstone {
    id: BackupId,
    repository: String,
    writer: WriterId,
}

fn corrupt(text: String) -> Error {
    Error::new(&codes::SNAPSHOT_CORRUPT, text)
}

fn forged(text: &str) -> Error {
    Error::new(&codes::SNAPSHOT_FORGED, text)
}

impl Trust {
    /// Returns the summary in an object at `snapshots/<name>.json`, with its writer.
    ///
    /// # Errors
    /// `backup-aborted` for a tombstone; `snapshot-forged` without a valid signature for this backup;
    /// `snapshot-corrupt`, `repository-newer`.
    pub(crate) fn summary(&self, name: &str, content: &[u8]) -> Result<Summary> {
        match self.slot(name, content)? {
            Slot::Summary(summary) => Ok(*summary),
            Slot::Tombstone(_) => {
                Err(Error::new(&codes::BACKUP_ABORTED, "the backup was declared dead before it was made"))
            }
        }
    }

    /// Parses and checks an object at `snapshots/<name>.json`.
    fn slot(&self, name: &str, content: &[u8]) -> Result<Slot> {
        let value: Value = serde_json::from_slice(content)
            .map_err(|e| corrupt(format!("the summary cannot be read: {e}")))?;
        let schema = value.get("schema").and_then(Value::as_u64).unwrap_or(0);
        let source = match schema {
            1 => self.source_of_first(&value, content),
            2 if !self.is_first() => self.source(&value, summary::SIGNED),
            n if n > u64::from(summary::SCHEMA) => {
                let text = format!("the summary has format {n}, which this program does not know");
                return Err(Error::new(&codes::REPOSITORY_NEWER, text));
            }
            _ => None,
        };
        let Some(source) = source else {
            return Err(forged("nobody who may write to this repository signed the summary"));
        };
        if value.get("aborted") == Some(&Value::Bool(true)) {
            return self.check_tombstone(name, source, value).map(Slot::Tombstone);
        }
        let mut found: Summary = serde_json::from_value(value.clone())
            .map_err(|e| corrupt(format!("the summary cannot be read: {e}")))?;
        found.check_place(name, self.repository())?;
        match source {
            Source::Owner => return Err(forged("the owner signs no summaries")),
            Source::Unverified => {}
            Source::Writer(writer) => {
                found.writer = Some(writer);
                if let Some(why) = self.is_outside(&value, &found, content) {
                    return Err(forged(why));
                }
            }
        }
        Ok(Slot::Summary(Box::new(found)))
    }

    /// Returns the source of a summary of format 1: in such a repository the key shared by all writers, later
    /// the writer that the owner certified with that key.
    fn source_of_first(&self, value: &Value, content: &[u8]) -> Option<Source> {
        if let Root::First(keys, _) = &self.root {
            let signed = keys.iter().any(|key| sign::is_signed(value, summary::FIRST_SIGNED, key));
            return signed.then_some(Source::Unverified);
        }
        // The owner listed each summary by its hash.
        let hash = layout::object_id(content);
        let writer = self.revoked.iter().find(|(_, keep)| keep.contains(&hash)).map(|(writer, _)| *writer);
        writer.map(Source::Writer)
    }

    fn is_outside(&self, value: &Value, summary: &Summary, content: &[u8]) -> Option<&'static str> {
        let writer = summary.writer?;
        if let Some(keep) = self.revoked.get(&writer)
            && !keep.contains(&layout::object_id(content))
        {
            return Some("its writer is revoked");
        }
        let certificate: Certificate = serde_json::from_value(value.get(CERTIFICATE)?.clone()).ok()?;
        certificate.forbids(summary)
    }

    /// Checks a tombstone: it is valid for the backup of the writer that it names, if that writer or the
    /// owner signed it.
    fn check_tombstone(&self, name: &str, source: Source, value: Value) -> Result<Option<WriterId>> {
        if self.is_first() || value.get("schema").and_then(Value::as_u64) == Some(1) {
            return Ok(None);
        }
        let found: Tombstone = serde_json::from_value(value)
            .map_err(|e| corrupt(format!("the tombstone cannot be read: {e}")))?;
        let placed = found.id.as_str() == name && found.repository == self.repository();
        if placed && (source == Source::Owner || source == Source::Writer(found.writer)) {
            return Ok(Some(found.writer));
        }
        Err(forged("the tombstone is not of who signed it, or of another place"))
    }

    /// Returns the meaning of an object in a slot for a writer.
    pub(crate) fn standing(&self, slot: &BackupId, content: &[u8], writer: WriterId) -> Standing {
        match self.slot(slot.as_str(), content) {
            Ok(Slot::Summary(summary)) if summary.writer == Some(writer) => Standing::Made,
            Ok(Slot::Tombstone(meant)) if meant == Some(writer) => Standing::Dead,
            _ => Standing::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::summary::{example, tombstone};
    use crate::format::trust::revocation;
    use crate::keys::{Identity, WriterLimits};

    const REPOSITORY: &str = "ab";

    fn trust(identity: &Identity) -> Trust {
        Trust::of_owner(REPOSITORY, identity.owner_key().verifying_key())
    }

    fn verdict(trust: &Trust, object: &[u8]) -> Result<Summary> {
        trust.summary(example().id.as_str(), object)
    }

    #[test]
    fn a_summary_counts_if_a_certified_writer_signed_it_and_says_which_one() {
        let identity = Identity::generate();
        let keys = identity.writer_keys();
        let object = example().sign(&keys.signer().unwrap());
        let found = verdict(&trust(&identity), &object).unwrap();
        assert_eq!(found.writer, Some(keys.writer()));
        let other = verdict(&trust(&Identity::generate()), &object).unwrap_err();
        assert!(other.is(&codes::SNAPSHOT_FORGED), "of another owner");
        let owners = example().sign(&identity.owner_signer());
        assert!(verdict(&trust(&identity), &owners).unwrap_err().is(&codes::SNAPSHOT_FORGED));
        let elsewhere = trust(&identity).summary("backup_2027-01-02T03-04-05Z_v1.0.0", &object).unwrap_err();
        assert!(elsewhere.is(&codes::SNAPSHOT_CORRUPT));
    }

    #[test]
    fn a_summary_that_was_changed_anywhere_is_forged() {
        let identity = Identity::generate();
        let object = example().sign(&identity.writer_keys().signer().unwrap());
        let text = String::from_utf8(object).unwrap();
        let changes =
            [("\"bytes\": 2", "\"bytes\": 9"), ("/p", "/q"), ("\"files\"", "\"extra\": 1, \"files\"")];
        for (from, to) in changes {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            let error = verdict(&trust(&identity), changed.as_bytes()).unwrap_err();
            assert!(error.is(&codes::SNAPSHOT_FORGED), "{to}");
        }
        // The formatting does not matter, and fields of later versions are covered by the signature.
        let value: Value = serde_json::from_str(&text).unwrap();
        verdict(&trust(&identity), value.to_string().as_bytes()).unwrap();
    }

    #[test]
    fn a_summary_outside_its_certificate_is_forged() {
        let identity = Identity::generate();
        let keys = identity.writer("web", &WriterLimits::of_domain("example.com")).unwrap();
        let sign = |summary: Summary| summary.sign(&keys.signer().unwrap());
        let error = verdict(&trust(&identity), &sign(example())).unwrap_err();
        assert!(error.is(&codes::SNAPSHOT_FORGED));
        let inside = sign(Summary { fqdn: "example.com".into(), ..example() });
        verdict(&trust(&identity), &inside).unwrap();
    }

    #[test]
    fn a_revoked_writer_has_only_the_backups_that_the_owner_kept() {
        let identity = Identity::generate();
        let keys = identity.writer_keys();
        let sign = |sequence| Summary { sequence, ..example() }.sign(&keys.signer().unwrap());
        let (kept, dropped) = (sign(1), sign(2));
        let keep = [layout::object_id(&kept)].into();
        let object = revocation(REPOSITORY, keys.writer(), keep, &identity.owner_key());
        let mut trust = trust(&identity);
        trust.revoke("revoked/x".into(), &object);
        verdict(&trust, &kept).unwrap();
        assert!(verdict(&trust, &dropped).unwrap_err().is(&codes::SNAPSHOT_FORGED));
        assert!(trust.is_revoked(&keys.writer()) && trust.foreign.is_empty());
        let forged = revocation(REPOSITORY, keys.writer(), Default::default(), &keys.signer().unwrap().key);
        trust.revoke("revoked/y".into(), &forged);
        assert_eq!(trust.foreign.len(), 1, "a writer revokes nobody");
    }

    #[test]
    fn a_tombstone_counts_for_the_writer_that_it_names_by_that_writer_or_the_owner() {
        let identity = Identity::generate();
        let (mine, theirs) =
            (identity.writer_keys(), identity.writer("b", &WriterLimits::default()).unwrap());
        let trust = trust(&identity);
        let id = example().id;
        let standing = |signer: &crate::keys::Signer, of| {
            let object = tombstone(&id, REPOSITORY, of, signer);
            trust.standing(&id, &object, mine.writer())
        };
        let (me, them) = (mine.signer().unwrap(), theirs.signer().unwrap());
        assert_eq!(standing(&identity.owner_signer(), mine.writer()), Standing::Dead);
        assert_eq!(standing(&me, mine.writer()), Standing::Dead);
        assert_eq!(standing(&them, mine.writer()), Standing::Other);
        assert_eq!(standing(&them, theirs.writer()), Standing::Other);
        assert_eq!(standing(&identity.owner_signer(), theirs.writer()), Standing::Other);
        let made = |signer: &crate::keys::Signer| trust.standing(&id, &example().sign(signer), mine.writer());
        assert_eq!((made(&me), made(&them)), (Standing::Made, Standing::Other));
        assert_eq!(trust.standing(&id, b"rubbish", mine.writer()), Standing::Other);
    }
}
