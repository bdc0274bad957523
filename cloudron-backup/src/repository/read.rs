//! What the owner of a repository can ask about the content of its backups.

use std::path::PathBuf;

use cloudron_core::{BackupId, Cancel, Error, Progress, Result, ResultExt};
use serde::Serialize;

use super::{FileEntry, Repository, SnapshotFilter, SnapshotList, Summary};
use crate::bridge::on_thread;
use crate::codes;
use crate::keys::Identity;
use crate::reading::{Reading, diff, entries, find};
use crate::trust::{Anchor, Trust};

/// What a listing came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// How many entries were listed.
    pub entries: u64,
    /// How many of them are regular files.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

/// An entry of a backup that was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// The backup that it is in.
    pub backup: BackupId,
    /// What was found.
    #[serde(flatten)]
    pub entry: FileEntry,
}

/// A backup that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The backup.
    pub backup: BackupId,
    /// Why.
    pub reason: String,
}

/// What a search came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a backup that could not be searched is in the report only"]
pub struct FindReport {
    /// How many backups were searched.
    pub backups: u64,
    /// In how many of them something was found.
    pub backups_with_matches: u64,
    /// How many entries were found, in all backups together.
    pub matches: u64,
    /// The backups that could not be searched.
    pub skipped: Vec<Skipped>,
}

/// In what way an entry changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is in the later backup only.
    Added,
    /// It is in the earlier backup only.
    Removed,
    /// Another content, or another target of a link. Mode, owner and times may have changed too.
    Content,
    /// The same content with another mode, owner, time or extended attribute.
    Metadata,
    /// Something of another type is there: a folder instead of a file, for instance.
    Type,
}

/// An entry that is not the same in two backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// In what way.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// What it was in the first backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<FileEntry>,
    /// What it is in the second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<FileEntry>,
}

/// How two backups differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "the numbers of changes are in the report"]
pub struct DiffReport {
    /// How many entries are in the second backup only.
    pub added: u64,
    /// How many are in the first one only.
    pub removed: u64,
    /// How many have another content.
    pub content: u64,
    /// How many have the same content and another mode, owner, time or extended attribute.
    pub metadata: u64,
    /// How many are of another type.
    pub types: u64,
    /// How many are the same.
    pub unchanged: u64,
    /// The sizes of the files that were removed or changed in content or type, as they were, in bytes.
    pub bytes_before: u64,
    /// The sizes of the files that were added or changed in content or type, as they are, in bytes.
    pub bytes_after: u64,
}

impl DiffReport {
    /// Whether the backups hold the same.
    pub fn is_same(&self) -> bool {
        [self.added, self.removed, self.content, self.metadata, self.types] == [0; 5]
    }
}

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

    /// Reads with the owner's identity on a thread that may block.
    pub(super) async fn reading<T: Send + 'static>(
        &self,
        identity: &Identity,
        progress: &Progress,
        cancel: &Cancel,
        work: impl FnOnce(&Reading<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (config, identity, progress) = (self.config.clone(), identity.clone(), progress.clone());
        on_thread(&self.store, cancel, move |store, stop| {
            config.check_identity(&identity)?;
            let trust = Trust::load(store, &config, Anchor::Identity(&identity))?;
            let (config, identity, trust, progress) = (&config, &identity, &trust, &progress);
            work(&Reading { store, config, identity, trust, progress, stop })
        })
        .await
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
        self.reading(identity, progress, cancel, move |reading| entries::run(reading, &backup, &only, each))
            .await
            .doing(|| format!("listing the backup {id}"))
    }

    /// Finds in which backups something is, oldest backup first. A pattern is written as in
    /// [`BackupRequest::excludes`](super::BackupRequest::excludes).
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
