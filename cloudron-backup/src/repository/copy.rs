//! Copying chosen backups into another repository.

use cloudron_core::{BackupId, Cancel, Progress, Result, ResultExt};

use super::Repository;
use crate::copy::TransferReport;
use crate::copy::snapshots::run;
use crate::keys::{Identity, WriterKeys};
use crate::snapshot::{Session, Writing};

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
            let memory = other.memory();
            let (config, memory) = (&other.config, memory.as_deref());
            let session = Session { store: &store, config, memory, ..**reading };
            run(reading, &Writing::new(session, &keys)?, &ids)
        })
        .await
        .doing(|| format!("copying backups from {} to {}", self.store.url(), target.store.url()))
    }
}
