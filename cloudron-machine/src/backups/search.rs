//! Finding a backup, and naming what may have hidden a later one.

use cloudron_api::{BackupEntry, INCOMPLETE};
use cloudron_backup::{Issue, Repository, SnapshotFilter, Summary, UnreadableSummary};
use cloudron_core::Result;

/// Maximum number of ignored objects that are named; more are only counted.
const NAMED: usize = 10;

/// Describes objects that count for nothing, with the reason of each.
#[must_use]
pub fn describe_ignored(ignored: &[Issue]) -> Vec<String> {
    let named = ignored.iter().take(NAMED).map(|i| format!("{} is ignored: {}", i.subject, i.reason));
    let more = ignored.len().saturating_sub(NAMED);
    named.chain((more > 0).then(|| format!("{more} more objects are ignored"))).collect()
}

/// Lists the backups of a server that are in its repository, newest first, and what cannot be read: object and reason.
///
/// # Errors
/// Errors of the store.
pub async fn entries(repository: &Repository) -> Result<(Vec<BackupEntry>, Vec<UnreadableSummary>)> {
    let list = repository.snapshots().await?;
    let entry = |summary: &Summary| BackupEntry {
        id: summary.id.clone(),
        creation_time: summary.time,
        version: summary.id.version().clone(),
        files: summary.files,
        bytes: summary.bytes,
        added: summary.added_bytes,
        sources: summary.sources.iter().map(|source| source.path.clone()).collect(),
        incomplete: summary.errors > 0 || summary.tags.iter().any(|tag| tag == INCOMPLETE),
    };
    Ok((list.summaries.iter().rev().map(entry).collect(), list.unreadable))
}

/// Finds the backup with an ID, or for `latest` the last one that matches the filter. Passes to `warn` what may have hidden
/// a later one.
///
/// # Errors
/// `backup-unknown`; errors of the store.
pub async fn find(
    repository: &Repository,
    id: &str,
    filter: &SnapshotFilter,
    warn: impl FnMut(String),
) -> Result<Summary> {
    if id == "latest" {
        let list = repository.snapshots_matching(filter).await?;
        let unreadable: Vec<Issue> = list.unreadable.iter().map(Issue::from).collect();
        describe_ignored(&unreadable).into_iter().for_each(warn);
        if let Some(latest) = list.latest() {
            return Ok(latest.clone());
        }
    }
    repository.find_matching(id, filter).await
}
