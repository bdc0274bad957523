//! What the owner of a repository can ask about the content of its backups.

use std::path::PathBuf;

use cloudron_core::{BackupId, Cancel, Error, Progress, Result, ResultExt};

use super::Repository;
use crate::browse::{Change, DiffReport, FindReport, Found, ListReport, diff, find, list};
use crate::codes;
use crate::format::summary::Summary;
use crate::keys::Identity;
use crate::snapshot::{FileEntry, SnapshotFilter, SnapshotList};

impl Repository {
    /// The backups that the filter means, oldest first. As [`snapshots`](Self::snapshots).
    ///
    /// # Errors
    /// What the store reports.
    pub async fn snapshots_matching(&self, filter: &SnapshotFilter) -> Result<SnapshotList> {
        let mut list = self.snapshots().await?;
        list.summaries.retain(|s| filter.matches(s));
        Ok(list)
    }

    /// One backup by its id, or for `latest` that of those which the filter means. As [`find`](Self::find).
    ///
    /// # Errors
    /// `backup-unknown`; `snapshot-corrupt` when its summary cannot be read.
    pub async fn find_matching(&self, id: &str, filter: &SnapshotFilter) -> Result<Summary> {
        if id != "latest" || *filter == SnapshotFilter::all() {
            return self.find(id).await;
        }
        let list = self.snapshots_matching(filter).await?;
        list.latest().cloned().ok_or_else(|| {
            let text = format!("no backup in {} is of that host, domain, tag and path", self.store.url());
            Error::new(&codes::BACKUP_UNKNOWN, text)
        })
    }

    /// Gives every entry of a backup, or those at and below some paths, in the order of the walk: a folder
    /// directly before what is in it, names by their bytes. Memory does not grow with their number. An error
    /// of `each` ends it.
    ///
    /// # Errors
    /// `backup-unknown`, `snapshot-forged`, `snapshot-corrupt`; `backup-path-unknown` when nothing is at a path
    /// that was asked for, after everything was given; what `each` returns.
    pub async fn entries(
        &self,
        identity: &Identity,
        id: &BackupId,
        only: &[PathBuf],
        each: impl FnMut(FileEntry) -> Result<()> + Send + 'static,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<ListReport> {
        let (backup, only) = (id.clone(), only.to_vec());
        self.reading(identity, progress, cancel, move |reading| list::run(reading, &backup, &only, each))
            .await
            .doing(|| format!("listing the backup {id}"))
    }

    /// Finds in which backups something is, oldest backup first. A pattern is written as in
    /// [`BackupRequest::excludes`](crate::backup::BackupRequest::excludes).
    ///
    /// # Errors
    /// `pattern-invalid`; what the store reports, and what `each` returns. A damaged backup is in the report instead.
    pub async fn find_paths(
        &self,
        identity: &Identity,
        patterns: &[String],
        filter: &SnapshotFilter,
        each: impl FnMut(Found) -> Result<()> + Send + 'static,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<FindReport> {
        let list = self.snapshots_matching(filter).await?;
        for (key, error) in &list.unreadable {
            progress.warn(format!("{key} was not searched: {error}"));
        }
        let patterns = patterns.to_vec();
        self.reading(identity, progress, cancel, move |reading| {
            find::run(reading, &patterns, &list.summaries, each)
        })
        .await
        .doing(|| format!("searching {}", self.store.url()))
    }

    /// Gives everything in which two backups differ, or what differs at and below some paths, in the order
    /// of the walk. Memory does not grow with their size. An error of `each` ends it.
    ///
    /// # Errors
    /// As [`entries`](Self::entries); a path counts as known when it is in one of the two.
    pub async fn diff(
        &self,
        identity: &Identity,
        (before, after): (&BackupId, &BackupId),
        only: &[PathBuf],
        each: impl FnMut(Change) -> Result<()> + Send + 'static,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<DiffReport> {
        let (a, b, only) = (before.clone(), after.clone(), only.to_vec());
        self.reading(identity, progress, cancel, move |reading| diff::run(reading, (&a, &b), &only, each))
            .await
            .doing(|| format!("comparing the backups {before} and {after}"))
    }
}
