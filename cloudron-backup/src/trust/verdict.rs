//! What an object in the place of a summary is worth.

use cloudron_core::{BackupId, Error, Result};
use serde::Deserialize;
use serde_json::Value;

use super::signer::CERTIFICATE;
use super::{Certificate, Root, Source, Trust, WriterId};
use crate::repository::{Summary, sign, summary};
use crate::{codes, layout};

/// What an object in a slot is to one writer that looks for the place of its backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The backup of that writer.
    Made,
    /// The word that the backup of that writer is dead.
    Dead,
    /// Anything else: it takes the slot and says nothing.
    Other,
}

/// The members of a tombstone.
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
    /// The summary in an object at `snapshots/<name>.json`, with its writer.
    ///
    /// # Errors
    /// `backup-aborted` for a tombstone; `snapshot-forged` where nobody signed it whose word counts for this backup;
    /// `snapshot-corrupt`, `repository-newer`.
    pub(crate) fn summary(&self, name: &str, content: &[u8]) -> Result<Summary> {
        let value: Value = serde_json::from_slice(content)
            .map_err(|e| corrupt(format!("the summary cannot be read: {e}")))?;
        let schema = value.get("schema").and_then(Value::as_u64).unwrap_or(0);
        let source = match schema {
            1 => self.source_of_first(&value, content)?,
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
            self.check_tombstone(name, source, value)?;
            return Err(Error::new(
                &codes::BACKUP_ABORTED,
                "the backup was declared dead before it was made",
            ));
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
        Ok(found)
    }

    /// The writer of a summary of format 1: in such a repository the key that all writers share, later the writer
    /// that the owner certified with that key.
    fn source_of_first(&self, value: &Value, content: &[u8]) -> Result<Option<Source>> {
        if let Root::First(keys, _) = &self.root {
            let signed = keys.iter().any(|key| sign::is_signed(value, summary::FIRST_SIGNED, key));
            return Ok(signed.then_some(Source::Unverified));
        }
        // The owner listed each one by its hash.
        let hash = layout::object_id(content);
        let writer = self.revoked.iter().find(|(_, keep)| keep.contains(&hash)).map(|(writer, _)| *writer);
        Ok(writer.map(Source::Writer))
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

    /// A tombstone counts for the backup of the writer that it names, if that writer or the owner put it.
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

    /// What an object in a slot is to a writer.
    pub(crate) fn standing(&self, slot: &BackupId, content: &[u8], writer: WriterId) -> Standing {
        match self.summary(slot.as_str(), content) {
            Ok(summary) if summary.writer == Some(writer) => Standing::Made,
            Err(e) if e.is(&codes::BACKUP_ABORTED) => {
                let value: Value = serde_json::from_slice(content).unwrap_or_default();
                let meant = self
                    .source(&value, summary::SIGNED)
                    .map(|s| self.check_tombstone(slot.as_str(), s, value));
                match meant {
                    Some(Ok(Some(meant))) if meant == writer => Standing::Dead,
                    _ => Standing::Other,
                }
            }
            _ => Standing::Other,
        }
    }
}
