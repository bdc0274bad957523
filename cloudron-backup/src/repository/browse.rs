//! Queries of the repository's owner about the content of its backups.

use std::path::PathBuf;

use cloudron_core::{BackupId, Cancel, Error, Progress, Result, ResultExt};

use super::Repository;
use crate::browse::{Change, DiffReport, FindReport, Found, ListReport, diff, find, list};
use crate::codes;
use crate::format::summary::Summary;
use crate::keys::Identity;
use crate::snapshot::{FileEntry, SnapshotFilter, SnapshotList};

impl Repository {
    /// Lists the backups that match the filter, oldest first. See [`snapshots`](Self::snapshots).
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn snapshots_matching(&self, filter: &SnapshotFilter) -> Result<SnapshotList> {
        let mut list = self.snapshots().await?;
        list.summaries.retain(|s| filter.matches(s));
        Ok(list)
    }

    /// Finds one backup by its id; `latest` is the newest that matches the filter. See [`find`](Self::find).
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

    /// Passes every entry of a backup to `each`, or only those at and below the given paths. The order is
    /// that of the walk: a folder directly before its content, names sorted by bytes. Memory use does not
    /// depend on the number of entries. An error of `each` ends the listing.
    ///
    /// # Errors
    /// `backup-unknown`, `snapshot-forged`, `snapshot-corrupt`; `backup-path-unknown` when there is no entry
    /// at one of the given paths, reported after all entries were passed; errors of `each`.
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

    /// Finds the backups that contain matching paths, oldest backup first. A pattern is written as in
    /// [`BackupRequest::excludes`](crate::backup::BackupRequest::excludes).
    ///
    /// # Errors
    /// `pattern-invalid`; errors of the store, and errors of `each`. A damaged backup is in the report instead.
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

    /// Passes every difference between two backups to `each`, or only those at and below the given paths, in
    /// the order of the walk. Memory use does not depend on their size. An error of `each` ends the comparison.
    ///
    /// # Errors
    /// As [`entries`](Self::entries); a path counts as known when it is in one of the two backups.
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
