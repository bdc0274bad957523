//! Copying chosen backups into another repository.

use cloudron_core::{BackupId, Cancel, Progress, Result, ResultExt};
use serde::Serialize;

use super::{Repository, Skipped};
use crate::keys::{Identity, WriterKeys};
use crate::transfer::{Target, run};

/// What a copy of backups did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a backup that was not copied is in the report only"]
pub struct TransferReport {
    /// The backups that were copied.
    pub copied: Vec<BackupId>,
    /// Those that were in the other repository already.
    pub present: Vec<BackupId>,
    /// Those that were not copied, because something of them is missing or damaged, or another backup of that
    /// name is there.
    pub failed: Vec<Skipped>,
    /// How many files the copied backups hold.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// What was added to the other store, in bytes.
    pub added_bytes: u64,
}

impl TransferReport {
    /// Whether every backup that was asked for is in the other repository.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }
}

impl Repository {
    /// Copies backups into another repository, which has keys of its own: for another place, or another
    /// owner. They keep their names, times, hosts and tags, and get sequence numbers of the target. Every file
    /// is read and its hash checked; what the target has is not stored again. Each backup is copied whole or not
    /// at all; one that fails does not keep the others from being copied. Doing it again goes on.
    ///
    /// To copy a repository as it is, which takes no key, there is [`copy_to`](Self::copy_to).
    ///
    /// # Errors
    /// `repository-exists` when both are the same repository; `repository-other` for keys that are not the
    /// target's; what the stores report.
    pub async fn copy_snapshots(
        &self,
        identity: &Identity,
        ids: &[BackupId],
        (target, keys): (&Self, &WriterKeys),
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<TransferReport> {
        let (other, keys, ids) = (target.clone(), keys.clone(), ids.to_vec());
        self.reading(identity, progress, cancel, move |reading| {
            let store = reading.store.beside(other.store.clone());
            let memory = other.cache_dir.as_ref().map(|dir| dir.join(&other.config.id));
            let (config, memory) = (&other.config, memory.as_deref());
            run(reading, &Target { store: &store, config, keys: &keys, memory }, &ids)
        })
        .await
        .doing(|| format!("copying backups from {} to {}", self.store.url(), target.store.url()))
    }
}
