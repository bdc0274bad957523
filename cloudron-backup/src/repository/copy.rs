//! Copies chosen backups into another repository.

use cloudron_core::{BackupId, Cancel, Progress, Result, ResultExt};

use super::Repository;
use crate::copy::TransferReport;
use crate::copy::snapshots::run;
use crate::keys::{Identity, WriterKeys};
use crate::snapshot::{Session, Writing};

impl Repository {
    /// Copies backups into another repository with keys of its own, for example at another place or of
    /// another owner. They keep their names, times, hosts and tags, and get sequence numbers of the target.
    /// Every file is read and its hash checked; content that the target has is not stored again. Each backup
    /// is copied whole or not at all; if one fails, the others are still copied. A repeated call continues an
    /// interrupted copy.
    ///
    /// To copy a whole repository as it is, without any key, use [`copy_to`](Self::copy_to).
    ///
    /// # Errors
    /// `repository-exists` when both are the same repository; `repository-other` for keys that are not the
    /// target's; errors of the stores.
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
