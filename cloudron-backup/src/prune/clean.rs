//! Removes objects of dead runs.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Result};

use super::reach::Listed;
use super::report::PruneReport;
use crate::codes;
use crate::format::lock::{self, Found, Holder};
use crate::format::manifest::first_line;
use crate::format::summary::Summary;
use crate::layout::{self, summary_name};
use crate::snapshot::Owner;
use crate::snapshot::slot::{self, Fate};
use crate::store::ObjectMeta;

/// Tombstones are kept for much longer than the maximum duration of a backup, so that no dead backup can be
/// completed later.
const TOMBSTONE: Duration = Duration::from_secs(365 * 24 * 3600);
/// A backup older than this has given up, so its lock has no meaning.
const DEAD_LOCK: Duration = Duration::from_secs(31 * 24 * 3600);

fn is_older(object: &ObjectMeta, than: Duration, now: SystemTime) -> bool {
    object.modified.is_some_and(|m| m + than <= now)
}

/// Removes manifests without a summary, old tombstones and dead locks.
pub(super) fn clean(
    owner: &Owner<'_>,
    now: SystemTime,
    grace: Duration,
    report: &mut PruneReport,
) -> Result<()> {
    // Listed first: the lock of a backup is written before its manifest.
    let objects = owner.store.list(layout::SNAPSHOTS)?;
    let locks = lock::list(owner.store, &owner.trust)?.found;
    let listed = Listed::load(owner)?;
    let needed: HashSet<String> = listed.summaries.iter().map(Summary::manifest_key).collect();
    for object in objects.iter().filter(|o| layout::is_hash_age(&o.key) && is_older(o, grace, now)) {
        owner.stop.check()?;
        if !needed.contains(&object.key) {
            report.orphans += u64::from(remove_manifest(owner, object, &locks, now, grace)?);
        }
    }
    for object in objects.iter().filter(|o| is_older(o, TOMBSTONE, now)) {
        if let Some(name) = summary_name(&object.key)
            && is_tombstone(owner, name, &object.key)?
        {
            owner.store.delete(&object.key)?;
        }
    }
    for lock in locks.iter().filter(|l| is_dead(l, now)) {
        owner.store.delete(&lock.key)?;
    }
    Ok(())
}

/// Checks whether a lock belongs to a dead process. Locks of recent backups stay until a sweep checks them.
fn is_dead(lock: &Found, now: SystemTime) -> bool {
    let old = lock.age(now).is_some_and(|age| age > DEAD_LOCK);
    !lock.is_live(now) && (!matches!(lock.holder, Holder::Backup(..)) || old)
}

/// Removes the manifest of a dead run, after making sure that it can no longer write a summary. A manifest
/// that cannot be opened is not ours, and stays.
fn remove_manifest(
    owner: &Owner<'_>,
    object: &ObjectMeta,
    locks: &[Found],
    now: SystemTime,
    grace: Duration,
) -> Result<bool> {
    let header = first_line(owner.store, &object.key, &*owner.open)?;
    let Some(header) = header.filter(|h| h.repository == owner.config.id) else { return Ok(false) };
    let (Ok(backup), Some(writer)) = (header.id.parse::<BackupId>(), header.writer) else { return Ok(false) };
    // A backup dated in the future may still be made: only its writer may prevent it.
    if backup.time() + grace > now {
        return Ok(false);
    }
    let runs = |l: &Found| l.holder == Holder::Backup(backup.clone(), writer) && l.is_live(now);
    if locks.iter().any(runs) {
        return Ok(false);
    }
    match slot::fence(owner.store, &owner.trust, &backup, writer, &owner.signer)? {
        Fate::Dead => owner.store.delete(&object.key)?,
        // The backup is complete with another manifest, unless the list was outdated.
        Fate::Made(id) => {
            let content = match owner.store.get_at_most(&layout::summary(&id), layout::MOST_JSON) {
                // Another prune removed the backup since. The next one deletes the manifest.
                Err(e) if e.is(&codes::OBJECT_MISSING) => return Ok(false),
                other => other?,
            };
            match owner.trust.summary(id.as_str(), &content) {
                Ok(made) if made.manifest_key() != object.key => owner.store.delete(&object.key)?,
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

fn is_tombstone(owner: &Owner<'_>, name: &str, key: &str) -> Result<bool> {
    match owner.store.get_at_most(key, layout::MOST_JSON) {
        Ok(content) => Ok(owner.trust.summary(name, &content).is_err_and(|e| e.is(&codes::BACKUP_ABORTED))),
        Err(e) if e.is(&codes::OBJECT_MISSING) || e.is(&codes::OBJECT_CORRUPT) => Ok(false),
        Err(e) => Err(e),
    }
}
