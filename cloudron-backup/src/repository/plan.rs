//! What a backup would do.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_core::{Cancel, Progress, Result, ResultExt};
use serde::Serialize;

use super::{BackupRequest, Repository, SourceRef};
use crate::bridge::on_thread;
use crate::keys::WriterKeys;
use crate::plan::DryStore;
use crate::store::BackupStore;

/// A file that a backup would read: one that it has not seen as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// What a backup would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a plan does nothing else than to say what would be done"]
#[non_exhaustive]
pub struct BackupPlan {
    /// The folders.
    pub sources: Vec<SourceRef>,
    /// How many of each type it would hold, as in [`Summary::entries`](super::Summary::entries).
    pub entries: BTreeMap<String, u64>,
    /// How many regular files it would hold.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// How many of the files would be read, because they are new, changed, or not in the cache.
    pub read_files: u64,
    /// The sizes of those together, in bytes.
    pub read_bytes: u64,
    /// What the backup would add to the store, compressed and encrypted, in bytes.
    pub added_bytes: u64,
    /// How many files or folders could not be read.
    pub errors: u64,
    /// How many things were warned of, the errors included.
    pub warnings: u64,
    /// How long it took to find out, in milliseconds.
    pub duration_ms: u64,
}

/// Told of every file that a backup reads.
#[derive(Clone)]
pub(crate) struct ReadHook(Arc<OnRead>);

type OnRead = dyn Fn(&Path, u64) + Send + Sync;

impl ReadHook {
    pub(crate) fn new(hook: impl Fn(&Path, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// A file of that size, in bytes, was read.
    pub(crate) fn read(&self, path: &Path, size: u64) {
        (self.0)(path, size);
    }
}

impl fmt::Debug for ReadHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadHook(…)")
    }
}

impl Repository {
    /// Finds out what a backup would do, down to the bytes that it would add, without writing to the store or
    /// to the cache. It reads, cuts and compresses what a backup would, so it takes about as long. Tells of
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
        let (config, keys, progress) = (self.config.clone(), keys.clone(), progress.clone());
        let dry: Arc<dyn BackupStore> = Arc::new(DryStore::new(self.store.clone()));
        let given = request.clone();
        on_thread(&dry, cancel, move |store, stop| {
            crate::plan::run(store, &config, &keys, &given, each, &progress, stop)
        })
        .await
        .doing(|| format!("looking at what the backup {} would do", request.id))
    }
}
