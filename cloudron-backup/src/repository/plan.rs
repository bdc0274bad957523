//! Dry runs of backups.

use std::sync::Arc;

use cloudron_core::{Cancel, Progress, Result, ResultExt};

use super::Repository;
use crate::backup::BackupRequest;
use crate::backup::plan::{BackupPlan, DryRunStore, PlannedFile};
use crate::keys::WriterKeys;

impl Repository {
    /// Predicts what a backup would do, including the number of bytes it would add, without writing to the
    /// store or to the cache. It reads, cuts and compresses like a backup, so it takes about as long. Reports
    /// each file that it reads.
    ///
    /// # Errors
    /// As [`backup`](Self::backup).
    pub async fn plan_backup(
        &self,
        keys: &WriterKeys,
        request: &BackupRequest,
        each: impl FnMut(PlannedFile) + Send + 'static,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<BackupPlan> {
        let dry = Self { store: Arc::new(DryRunStore::new(self.store.clone())), ..self.clone() };
        let given = request.clone();
        dry.writing(keys, progress, cancel, move |writing| crate::backup::plan::run(writing, &given, each))
            .await
            .doing(|| format!("looking at what the backup {} would do", request.id))
    }
}
