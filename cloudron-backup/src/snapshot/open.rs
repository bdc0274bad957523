//! Opens a backup.

use std::fs::File;
use std::sync::Arc;

use cloudron_core::{BackupId, Error, Result};
use serde::Serialize;

use super::Session;
use crate::chunk::ChunkNamer;
use crate::encrypt::Decryptor;
use crate::format::manifest::{ManifestReader, fetch};
use crate::format::summary::Summary;
use crate::format::trust::Trust;
use crate::keys::Identity;
use crate::{codes, layout};

/// A backup that was checked and can be read.
pub(crate) struct Backup {
    pub(crate) summary: Summary,
    manifest: File,
    key: Arc<dyn Decryptor>,
}

impl Backup {
    /// Checks the signature of the summary and the hash of the manifest.
    ///
    /// # Errors
    /// `backup-unknown`, `snapshot-forged`, `snapshot-corrupt`; as [`Config::check_identity`]; errors of the store.
    pub(crate) fn open(
        session: &Session<'_>,
        trust: &Trust,
        identity: &Identity,
        id: &BackupId,
    ) -> Result<Self> {
        let Session { store, config, stop, .. } = *session;
        config.check_identity(identity)?;
        let content = match store.get_at_most(&layout::summary(id), layout::MOST_JSON) {
            Err(e) if e.is(&codes::OBJECT_MISSING) => {
                let text = format!("there is no backup {id} in {}", store.url());
                return Err(Error::new(&codes::BACKUP_UNKNOWN, text));
            }
            other => other?,
        };
        let summary = match trust.summary(id.as_str(), &content) {
            Err(e) if e.is(&codes::BACKUP_ABORTED) => {
                return Err(Error::new(&codes::BACKUP_UNKNOWN, format!("the backup {id} was never made")));
            }
            other => other?,
        };
        let manifest = fetch(store, &summary.manifest_key(), &summary.manifest, stop)?;
        let key = config.owner_decryptor(identity)?;
        let backup = Self { summary, manifest, key };
        let reader = backup.entries()?;
        let header = reader.header();
        let named = header.id.parse::<BackupId>().is_ok_and(|named| id.is_slot_of(&named));
        let written = backup.summary.schema == 1 || header.writer == backup.summary.writer;
        if !named || !written || header.repository != config.id {
            let text = format!(
                "the manifest of {id} names another backup, writer or repository: {} of {}",
                header.id, header.repository
            );
            return Err(Error::new(&codes::SNAPSHOT_CORRUPT, text));
        }
        reader.check_sources(&backup.summary)?;
        drop(reader);
        Ok(backup)
    }

    /// Returns a reader of the entries, from the first one.
    pub(crate) fn entries(&self) -> Result<ManifestReader<'_>> {
        ManifestReader::new(&self.manifest, &*self.key)
    }

    pub(crate) fn key(&self) -> &dyn Decryptor {
        &*self.key
    }
}

/// Returns the namer that the writers of this repository use for chunks.
pub(crate) fn namer(identity: &Identity) -> Result<ChunkNamer> {
    Ok(ChunkNamer::new(identity.writer_keys().chunk_key()?))
}

/// A backup that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The backup.
    pub backup: BackupId,
    /// The reason.
    pub reason: String,
}
