//! Removing what runs that died left behind.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Result};

use super::owner::{Owner, is_owners};
use super::report::PruneReport;
use crate::lock::{self, Found};
use crate::repository::{Summary, summary, summary_name};
use crate::store::ObjectMeta;
use crate::{codes, layout};

/// Tombstones are kept for much longer than any backup takes, so that none comes back to life behind one.
const TOMBSTONE: Duration = Duration::from_secs(365 * 24 * 3600);
/// A backup that is older than this has given up. Its lock says nothing any more.
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
    // Listed first: a backup whose manifest is seen has put its lock before.
    let objects = owner.store.list(layout::SNAPSHOTS)?;
    let locks = lock::list(owner.store)?;
    let summaries: HashSet<&str> = objects.iter().filter_map(|o| summary_name(&o.key)).collect();
    for object in objects.iter().filter(|o| is_older(o, grace, now)) {
        owner.stop.check()?;
        let name = object.key.strip_prefix(layout::SNAPSHOTS).and_then(|n| n.strip_suffix(".age"));
        let alone = name.filter(|name| !summaries.contains(name) && !runs(&locks, name, now));
        if let Some(backup) = alone.and_then(|name| name.parse().ok()) {
            report.orphans += u64::from(remove_manifest(owner, &backup)?);
        }
    }
    for object in objects.iter().filter(|o| is_older(o, TOMBSTONE, now)) {
        if let Some(name) = summary_name(&object.key)
            && is_tombstone(owner, &object.key)?
            && !summaries.contains(format!("{name}.age").as_str())
        {
            owner.store.delete(&object.key)?;
        }
    }
    for lock in locks.iter().filter(|l| is_dead(l, now)) {
        owner.store.delete(&lock.key)?;
    }
    Ok(())
}

fn runs(locks: &[Found], name: &str, now: SystemTime) -> bool {
    locks.iter().any(|l| l.name == name && l.is_live(now))
}

/// Whether a lock is that of something that is not alive. Other backups' locks stay until a sweep looks at them.
fn is_dead(lock: &Found, now: SystemTime) -> bool {
    let old = lock.age(now).is_some_and(|age| age > DEAD_LOCK);
    !lock.is_live(now) && (lock.backup().is_none() || is_owners(&lock.name) || old)
}

/// Removes the manifest of a run that died, after making sure that it can write no summary any more.
fn remove_manifest(owner: &Owner<'_>, backup: &BackupId) -> Result<bool> {
    let key = layout::summary(backup);
    let tombstone = summary::tombstone(backup, &owner.config.id, &owner.signing);
    if owner.store.put_new(&key, &tombstone.into())? || is_tombstone(owner, &key)? {
        owner.store.delete(&layout::manifest(backup))?;
        return Ok(true);
    }
    Ok(false)
}

fn is_tombstone(owner: &Owner<'_>, key: &str) -> Result<bool> {
    match owner.store.get(key) {
        Ok(content) => Ok(Summary::parse(&content).is_err_and(|e| e.is(&codes::BACKUP_ABORTED))),
        Err(e) if e.is(&codes::OBJECT_MISSING) => Ok(false),
        Err(e) => Err(e),
    }
}
