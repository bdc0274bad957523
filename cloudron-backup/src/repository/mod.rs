//! The repository: its layout, and what is done with it.

mod report;
mod request;
mod summary;

use std::io::Write;
use std::sync::Arc;

use cloudron_core::{BackupId, Cancel, Error, Progress, Result, Secret};

pub use report::{
    CompareReport, CopyReport, Difference, Failure, Problem, RestoreReport, VerifyDepth, VerifyReport,
};
pub use request::{BackupRequest, InitOptions, RestoreRequest, RestoreTo, Source};
pub use summary::{ManifestRef, SnapshotList, SourceRef, Summary};

use crate::codes;
use crate::keys::{Identity, WriterKeys};
use crate::store::BackupStore;

/// A repository of backups in a store.
#[derive(Debug, Clone)]
pub struct Repository {
    store: Arc<dyn BackupStore>,
}

fn later<T>() -> Result<T> {
    Err(Error::new(&cloudron_core::codes::FAILED, "not there yet"))
}

impl Repository {
    /// Makes a repository in an empty store and wraps its identity with the backup key.
    ///
    /// # Errors
    /// `repository-exists` when there is one; `backup-key-weak`; what the store reports.
    pub async fn init(
        store: Arc<dyn BackupStore>,
        backup_key: &Secret,
        options: InitOptions,
    ) -> Result<(Self, Identity)> {
        crate::keys::check_backup_key(backup_key)?;
        let _ = (store, options);
        later()
    }

    /// Opens a repository without any key: enough to list, to make backups and to check objects.
    ///
    /// # Errors
    /// `repository-missing`, `repository-corrupt`, `repository-newer`; what the store reports.
    pub async fn open(store: Arc<dyn BackupStore>) -> Result<Self> {
        Ok(Self { store })
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn BackupStore> {
        &self.store
    }

    /// The repository's own id: 32 hex digits.
    pub fn id(&self) -> &str {
        ""
    }

    /// The identity, unwrapped with the backup key. Takes a second of computing on purpose.
    ///
    /// # Errors
    /// `backup-key-wrong`; `repository-corrupt` when the key objects are gone or damaged.
    pub async fn unlock(&self, backup_key: &Secret) -> Result<Identity> {
        let _ = backup_key;
        later()
    }

    /// The backups, oldest first, from their clear summaries. Needs no key, and checks no signature.
    ///
    /// # Errors
    /// What the store reports. A summary that cannot be read is listed as unreadable instead.
    pub async fn snapshots(&self) -> Result<SnapshotList> {
        later()
    }

    /// One backup by its id, or the newest one for `latest`.
    ///
    /// # Errors
    /// `backup-unknown`; `snapshot-corrupt` when its summary cannot be read.
    pub async fn find(&self, id: &str) -> Result<Summary> {
        Err(Error::new(&codes::BACKUP_UNKNOWN, format!("there is no backup {id}")))
    }

    /// Makes a backup. It is listed only once everything it needs is stored.
    ///
    /// Files that cannot be read, or that change while being read, are warned of and counted in
    /// [`Summary::errors`]; they do not stop it.
    ///
    /// # Errors
    /// `source-missing` when no source exists, `source-invalid`, `backup-exists`, `repository-other`, what the
    /// store reports, `interrupted`.
    pub async fn backup(
        &self,
        keys: &WriterKeys,
        request: BackupRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Summary> {
        let _ = (keys, request, progress, cancel);
        later()
    }

    /// Restores a backup, checking every hash. What fails is in the report, which the caller must look at.
    ///
    /// # Errors
    /// `backup-unknown`, `snapshot-forged`, `snapshot-corrupt`; `restore-conflict` before anything is written;
    /// `no-space`; `interrupted`.
    pub async fn restore(
        &self,
        identity: &Identity,
        id: &BackupId,
        request: &RestoreRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<RestoreReport> {
        let _ = (identity, id, request, progress, cancel);
        later()
    }

    /// Reads back what a restore with this request wrote, and compares it with the backup.
    ///
    /// # Errors
    /// As [`restore`](Self::restore); a difference is in the report.
    pub async fn compare(
        &self,
        identity: &Identity,
        id: &BackupId,
        request: &RestoreRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<CompareReport> {
        let _ = (identity, id, request, progress, cancel);
        later()
    }

    /// Checks the repository. Without the identity, that every object is there and has the bytes that were
    /// written; with it, also that every file of every backup can be restored.
    ///
    /// # Errors
    /// What the store reports; what is found is in the report.
    pub async fn verify(
        &self,
        depth: VerifyDepth,
        identity: Option<&Identity>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<VerifyReport> {
        let _ = (depth, identity, progress, cancel);
        later()
    }

    /// Writes a backup as one plain tar (POSIX pax), as a stream. Gives the output back.
    ///
    /// # Errors
    /// As [`restore`](Self::restore), and what the output reports. The tar is not complete then.
    pub async fn export_tar<W: Write + Send + 'static>(
        &self,
        identity: &Identity,
        id: &BackupId,
        output: W,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<W> {
        let _ = (identity, id, output, progress, cancel);
        later()
    }

    /// Copies what another store lacks of this repository, without any key, in the order in which a copy
    /// that is cut off is valid.
    ///
    /// # Errors
    /// `repository-exists` when the other store holds another repository; `object-corrupt` for a damaged
    /// object; what the stores report.
    pub async fn copy_to(
        &self,
        target: Arc<dyn BackupStore>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<CopyReport> {
        let _ = (target, progress, cancel);
        later()
    }
}
