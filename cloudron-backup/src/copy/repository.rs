//! Copies a repository to another store, without any key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use cloudron_core::{Cancel, Error, Progress, Result, Unit};

use crate::codes;
use crate::copy::CopyReport;
use crate::format::config::Config;
use crate::format::lock;
use crate::format::traces::{self, Traces};
use crate::format::trust::{Anchor, Trust};
use crate::issue::Issue;
use crate::layout::{self, summary_name};
use crate::store::{BackupStore, ObjectMeta, get_all, get_at_most, requirements};

/// Returns the position of an object in the copying order. An interrupted copy is valid because everything a
/// summary needs comes before it.
fn rank(key: &str) -> u8 {
    match key {
        layout::CONFIG => 0,
        _ if key.starts_with(layout::KEYS) || key.starts_with(layout::COPIES) => 1,
        _ if key.starts_with(layout::PACKS) => 3,
        _ if key.starts_with(layout::CONDEMNED) => 4,
        _ if key.starts_with(layout::INDEX) => 5,
        _ if key.starts_with(layout::FORGOTTEN) => 6,
        _ if key.starts_with(layout::SNAPSHOTS) && !key.ends_with(".json") => 7,
        _ if key.starts_with(layout::SNAPSHOTS) => 8,
        _ => 2,
    }
}

pub(crate) async fn run(
    source: &Arc<dyn BackupStore>,
    target: &Arc<dyn BackupStore>,
    config: &Config,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<CopyReport> {
    check_target(target, &config.id).await?;
    // A prune of the copy must not delete objects as unneeded before their summary is copied.
    let mut lock = CopyLock::take(target).await?;
    let result = match check_other(source, &lock).await {
        Ok(()) => copy((source, config), target, &mut lock, progress, cancel).await,
        Err(e) => Err(e),
    };
    lock.release().await;
    result
}

async fn copy(
    (source, config): (&Arc<dyn BackupStore>, &Config),
    target: &Arc<dyn BackupStore>,
    lock: &mut CopyLock<'_>,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<CopyReport> {
    // Listed from the summaries backwards: a backup made meanwhile is copied whole or not at all. A pack
    // moves from the index to the condemned.
    let mut objects: Vec<ObjectMeta> = Vec::new();
    let prefixes = [layout::SNAPSHOTS, layout::FORGOTTEN, layout::INDEX, layout::CONDEMNED, layout::PACKS];
    let others = [layout::WRITERS, layout::REVOKED, layout::KEYS, layout::COPIES];
    for prefix in prefixes.into_iter().chain(others) {
        objects.extend(source.list(prefix).await?);
    }
    for key in [layout::CONFIG, layout::RECOVER_MD, layout::RECOVER_PY, layout::RECOVER_SH] {
        objects.extend(source.head(key).await?);
    }
    objects.sort_by(|a, b| (rank(&a.key), &a.key).cmp(&(rank(&b.key), &b.key)));
    let present: HashMap<String, u64> = target.list("").await?.into_iter().map(|o| (o.key, o.size)).collect();

    let mut report = CopyReport::default();
    objects.retain(|object| match layout::is_ours(&object.key, object.size) {
        true => true,
        false => {
            let text = "it is no object that this program writes";
            report.not_copied.push(Issue::new(&object.key, text));
            false
        }
    });
    let named = named_manifests(source, config, &mut objects, &mut report).await?;
    // A manifest without a summary belongs to an interrupted run, or was written by anybody.
    let is_needed = |o: &ObjectMeta| !layout::is_hash_age(&o.key) || named.get(&o.key) == Some(&o.size);
    objects.retain(|o| !o.key.starts_with(layout::SNAPSHOTS) || is_needed(o));
    let task = progress.task("Copying", Unit::Bytes, Some(objects.iter().map(|o| o.size).sum()));
    for object in objects {
        cancel.check()?;
        lock.keep().await?;
        if present.get(&object.key) == Some(&object.size) {
            report.present += 1;
        } else {
            let content = get_at_most(&**source, &object.key, object.size).await;
            // A damaged object is not spread, and does not keep the others from being copied.
            let content = match content.and_then(|c| check(&object.key, &c).map(|()| c)) {
                Err(e) if e.is(&codes::OBJECT_CORRUPT) => {
                    report.not_copied.push(Issue::new(&object.key, e));
                    continue;
                }
                other => other?,
            };
            lock.check_awake()?;
            target.put(&object.key, &content).await?;
            report.copied += 1;
            report.bytes += content.len() as u64;
        }
        task.advance(object.size);
    }
    task.finish();
    Ok(report)
}

/// Returns the manifests named by summaries, with their sizes. Invalid summaries are removed from the objects
/// and reported.
async fn named_manifests(
    source: &Arc<dyn BackupStore>,
    config: &Config,
    objects: &mut Vec<ObjectMeta>,
    report: &mut CopyReport,
) -> Result<HashMap<String, u64>> {
    let trust = Trust::read(source, config, Anchor::Description).await?;
    let summaries: Vec<ObjectMeta> =
        objects.iter().filter(|o| summary_name(&o.key).is_some()).cloned().collect();
    let (mut named, mut left_out) = (HashMap::new(), HashSet::new());
    for (object, content) in get_all(source, summaries, layout::MOST_JSON).await? {
        let content = match content {
            Err(e) if e.is(&codes::OBJECT_MISSING) => continue,
            Err(e) if e.is(&codes::OBJECT_CORRUPT) => {
                report.not_copied.push(Issue::new(&object.key, e));
                left_out.insert(object.key);
                continue;
            }
            other => other?,
        };
        match trust.summary(summary_name(&object.key).unwrap_or_default(), &content) {
            Ok(summary) => drop(named.insert(summary.manifest_key(), summary.manifest.size)),
            Err(e) if e.is(&codes::BACKUP_ABORTED) => {}
            Err(e) => {
                report.not_copied.push(Issue::new(&object.key, e));
                left_out.insert(object.key);
            }
        }
    }
    objects.retain(|o| !left_out.contains(&o.key));
    Ok(named)
}

/// The lock of a copy, in the target store.
struct CopyLock<'a> {
    target: &'a Arc<dyn BackupStore>,
    key: String,
    content: bytes::Bytes,
    written: SystemTime,
}

impl<'a> CopyLock<'a> {
    async fn take(target: &'a Arc<dyn BackupStore>) -> Result<Self> {
        let (key, content) = lock::of_copy();
        let written = SystemTime::now();
        target.put(&key, &content).await?;
        let checked = requirements::check_conditional(&**target, &key, &content).await;
        let lock = Self { target, key, content, written };
        match checked {
            Ok(()) => Ok(lock),
            Err(e) => {
                lock.release().await;
                Err(e)
            }
        }
    }

    /// Refreshes the lock if that is due.
    async fn keep(&mut self) -> Result<()> {
        self.check_awake()?;
        if self.written.elapsed().unwrap_or_default() > lock::REFRESH {
            let now = SystemTime::now();
            self.target.put(&self.key, &self.content).await?;
            self.written = now;
        }
        Ok(())
    }

    /// Stops a copy that was suspended for longer than its lock is valid: copied objects may have been deleted.
    fn check_awake(&self) -> Result<()> {
        if self.written.elapsed().unwrap_or_default() < lock::EXPIRY {
            return Ok(());
        }
        let text = "the copy slept for so long that a prune may have removed what it had copied";
        Err(Error::new(&cloudron_core::codes::INTERRUPTED, text).with_hint("run it again"))
    }

    async fn release(self) {
        // It expires if it cannot be deleted.
        let _ = self.target.delete(&self.key).await;
    }
}

/// Refuses a target that is the source, under whatever address: the lock that was written there is in the source too.
async fn check_other(source: &Arc<dyn BackupStore>, lock: &CopyLock<'_>) -> Result<()> {
    if source.head(&lock.key).await?.is_none() {
        return Ok(());
    }
    let text = format!("{} is the store that is copied from", lock.target.url());
    Err(Error::new(&cloudron_core::codes::USAGE, text))
}

/// Refuses a store that holds, or held, another repository. A copy begins with the description, so a store
/// without one holds no interrupted copy.
async fn check_target(target: &Arc<dyn BackupStore>, id: &str) -> Result<()> {
    for place in [layout::CONFIG.to_owned(), layout::copy_of(layout::CONFIG)] {
        match get_at_most(&**target, &place, layout::MOST_JSON).await {
            Err(e) if e.is(&codes::OBJECT_MISSING) => {}
            Err(e) => return Err(e),
            Ok(content) if Config::parse(&content).is_ok_and(|c| c.id == id) => return Ok(()),
            Ok(_) => {
                let text = format!("{} holds another repository", target.url());
                return Err(Error::new(&codes::REPOSITORY_EXISTS, text).with_hint("choose another address"));
            }
        }
    }
    let object = match traces::look(&**target).await? {
        Traces::Nothing => return Ok(()),
        // Left by a copy that was killed before its first object.
        Traces::Repository(object) if object.starts_with(layout::LOCKS) => {
            target.list(layout::KEYS).await?.into_iter().next().map(|o| o.key)
        }
        Traces::Repository(object) => Some(object),
        Traces::Keys(keys) => keys.into_iter().next(),
    };
    object.map_or(Ok(()), |object| Err(traces::lost_description(&**target, &object)))
}

/// Checks an object against the hash in its name.
fn check(key: &str, content: &[u8]) -> Result<()> {
    let hashed = [layout::PACKS, layout::INDEX, layout::CONDEMNED].iter().any(|p| key.starts_with(p));
    if hashed && layout::id_of(key) != Some(&layout::object_id(content)) {
        let text = format!("{key} does not have the hash that it is named by");
        return Err(Error::new(&codes::OBJECT_CORRUPT, text));
    }
    Ok(())
}
