//! Reading the backup store for the interface.

use std::ops::Range;

use bytes::Bytes;
use cloudron_backup::store::{check_key, missing};
use cloudron_backup::{ObjectMeta, Repository, Summary, UnreadableSummary, WriterKeys};
use cloudron_core::{BackupId, Cancel};

use super::Worker;
use super::backup::is_incomplete;
use crate::api::{BackupEntry, BackupPage, StoreObject};
use crate::db::blocking;
use crate::system::files;
use crate::{Error, Result, codes, store};

/// Maximum number of objects in one message.
pub(super) const AT_A_TIME: usize = 1000;

/// Maximum part of an object in one message, in bytes.
const PIECE: u64 = 4 * 1024 * 1024;

/// Maximum number of problems that are named.
const NAMED: usize = 3;

/// Opens the repository with a cache of what was read before.
async fn open(worker: &Worker) -> Result<Repository> {
    let opened = Repository::open(store::open(&worker.layout, &worker.settings)?).await?;
    Ok(opened.with_cache_dir(worker.layout.worker_cache().join("backup")))
}

/// Returns the server's keys for writing backups.
pub(super) async fn keys(worker: &Worker) -> Result<WriterKeys> {
    let path = worker.layout.writer_keys();
    blocking(move || {
        files::read_json(&path)?
            .ok_or_else(|| Error::new(&codes::CONFIG_CORRUPT, format!("{} is missing", path.display())))
    })
    .await
}

pub(super) async fn list(worker: &Worker, page: u32, per_page: u32) -> Result<BackupPage> {
    let snapshots = open(worker).await?.snapshots().await?;
    for UnreadableSummary { object, error } in &snapshots.unreadable {
        tracing::warn!(key = object, %error, "The summary of a backup cannot be read");
    }
    let total = snapshots.summaries.len() as u64;
    let before = (page.saturating_sub(1) as usize).saturating_mul(per_page as usize);
    let newest = snapshots.summaries.into_iter().rev().skip(before).take(per_page as usize);
    Ok(BackupPage { backups: newest.map(entry).collect(), page, per_page, total })
}

fn entry(summary: Summary) -> BackupEntry {
    BackupEntry {
        creation_time: summary.time,
        version: summary.version.parse().unwrap_or_else(|_| summary.id.version().clone()),
        files: summary.files,
        bytes: summary.bytes,
        added: summary.added_bytes,
        incomplete: is_incomplete(&summary),
        sources: summary.sources.into_iter().map(|s| s.name).collect::<Vec<String>>(),
        id: summary.id,
    }
}

pub(super) async fn find(worker: &Worker, wanted: &str) -> Result<BackupId> {
    Ok(open(worker).await?.find(wanted).await?.id)
}

pub(super) async fn check(worker: &Worker, newest: Option<&BackupId>, cancel: &Cancel) -> Result<String> {
    // Earlier builds kept a second copy of the index here. It is in nobody's way but the disk's.
    let _ = files::remove_folder(&worker.layout.worker_cache().join("backup/index"));
    let found = open(worker).await?.inspect(&keys(worker).await?, newest, cancel).await?;
    let name = worker.settings.store_name();
    if found.problems.is_empty() {
        return Ok(format!("{name} holds the repository and its {} packs", found.packs));
    }
    let more = match found.problems.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let named: Vec<&str> = found.problems.iter().take(NAMED).map(String::as_str).collect();
    Err(Error::new(&codes::STORE_DIFFERS, format!("{name}: {}{more}", named.join("; "))))
}

pub(super) async fn objects(worker: &Worker, prefix: &str) -> Result<Vec<StoreObject>> {
    // A prefix is the start of a key. One outside the store is refused.
    let checkable = prefix.trim_end_matches(['/', '.', '-', '_', '+']);
    if !checkable.is_empty() {
        check_key(checkable)?;
    } else if !prefix.is_empty() {
        return Err(Error::new(&codes::BAD_REQUEST, "nothing in the store begins like this"));
    }
    let objects = store::open(&worker.layout, &worker.settings)?.list(prefix).await?;
    let shown = |o: ObjectMeta| {
        let modified = o.modified.and_then(|time| time.try_into().ok());
        StoreObject { key: o.key, size: o.size, modified }
    };
    Ok(objects.into_iter().map(shown).collect())
}

pub(super) async fn size(worker: &Worker, key: &str) -> Result<u64> {
    check_key(key)?;
    let store = store::open(&worker.layout, &worker.settings)?;
    Ok(store.head(key).await?.ok_or_else(|| missing(&store.url(), key))?.size)
}

/// Reads a part of an object, whole or not at all.
pub(super) async fn read(worker: &Worker, key: &str, range: Range<u64>) -> Result<Bytes> {
    check_key(key)?;
    let wanted = range.end.checked_sub(range.start).filter(|size| *size <= PIECE);
    let wanted =
        wanted.ok_or_else(|| Error::new(&codes::BAD_REQUEST, "the part of the object is too large"))?;
    let store = store::open(&worker.layout, &worker.settings)?;
    let part = store.get_range(key, range).await?;
    if part.len() as u64 != wanted {
        return Err(missing(&store.url(), key));
    }
    Ok(part)
}
