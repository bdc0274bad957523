//! Deleting packs that have been condemned for long enough.
//!
//! Why nothing that is needed is deleted: a backup relies on a pack only if it saw no record of it, and put its
//! lock before it looked. So whoever lists the locks after the record was written sees the lock of every backup
//! that may rely on the pack, or that backup is over: then its summary is in the list that is read behind the
//! locks, or can never be written any more, because a tombstone is in its place. `docs/prune.md` has it all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Result};

use super::owner::{Owner, is_owners, unsafe_because};
use super::reach::{Listed, Reach, read_summary};
use super::report::PruneReport;
use super::rewrite::{Rewriter, is_unreadable, put_lines};
use super::state::State;
use crate::chunk::ChunkId;
use crate::condemned::{Condemned, Record};
use crate::index::PackEntry;
use crate::layout;
use crate::lock::{self, Found};
use crate::repository::summary;

/// Deletes the packs of records that are older than the grace at `now`, unless a backup may rely on them.
pub(super) fn sweep(
    owner: &Owner<'_>,
    now: SystemTime,
    grace: Duration,
    reach: &mut Reach,
    report: &mut PruneReport,
) -> Result<()> {
    let condemned = Condemned::load(owner.store, &*owner.open, None, owner.stop)?;
    // From here on, locks are listed behind every record.
    let mut ripe: HashSet<usize> =
        (0..condemned.records.len()).filter(|n| is_ripe(&condemned.records[*n], now, grace)).collect();
    if !ripe.is_empty() {
        let made = settle_locks(owner, &condemned.records, &mut ripe, now, report)?;
        if !ripe.is_empty() {
            read_backups(owner, made, reach)?;
            return finish(owner, condemned, ripe, reach, report);
        }
    }
    report.bytes_freed_later += bytes_of(condemned.entries());
    Ok(())
}

pub(super) fn is_ripe(record: &Record, now: SystemTime, grace: Duration) -> bool {
    record.modified.is_some_and(|m| m + grace <= now)
}

fn bytes_of<'a>(entries: impl Iterator<Item = &'a PackEntry>) -> u64 {
    let sizes: HashMap<ChunkId, u64> = entries.map(|e| (e.pack, e.size)).collect();
    sizes.values().sum()
}

/// What became of the backup of a lock.
enum Outcome {
    Made(BackupId),
    Dead,
    MayRun,
}

/// Looks at the locks. Records on which a running backup may rely are not ripe. Backups that were not heard of
/// for too long are declared dead. Gives those that turn out to be made.
fn settle_locks(
    owner: &Owner<'_>,
    records: &[Record],
    ripe: &mut HashSet<usize>,
    now: SystemTime,
    report: &mut PruneReport,
) -> Result<Vec<BackupId>> {
    let mut made = Vec::new();
    for lock in lock::list(owner.store)? {
        let relies = |n: &usize| lock.may_precede(records[*n].modified);
        if is_owners(&lock.name) || !ripe.iter().any(relies) {
            continue;
        }
        match outcome(owner, &lock, now, report)? {
            Outcome::Made(backup) => made.push(backup),
            Outcome::Dead => {}
            Outcome::MayRun => {
                ripe.retain(|n| !relies(n));
                report.running.push(lock.name.clone());
                continue;
            }
        }
        owner.store.delete(&lock.key)?;
    }
    Ok(made)
}

fn outcome(owner: &Owner<'_>, lock: &Found, now: SystemTime, report: &mut PruneReport) -> Result<Outcome> {
    let live = lock.is_live(now);
    let Some(backup) = lock.backup() else {
        // A copy into this repository: it puts no more than what another repository has.
        return Ok(if live { Outcome::MayRun } else { Outcome::Dead });
    };
    let key = layout::summary(&backup);
    let read = |name: &str| read_summary(owner, name).map_err(|e| unsafe_because(&key, &e));
    if read(&lock.name)?.is_some() {
        return Ok(Outcome::Made(backup));
    }
    if live {
        return Ok(Outcome::MayRun);
    }
    // Either this is written, and the backup's own summary cannot be any more, or something is there.
    let tombstone = summary::tombstone(&backup, &owner.config.id, &owner.signing);
    if owner.store.put_new(&key, &tombstone.into())? {
        report.fenced.push(lock.name.clone());
        return Ok(Outcome::Dead);
    }
    Ok(if read(&lock.name)?.is_some() { Outcome::Made(backup) } else { Outcome::Dead })
}

/// Takes in what all backups need that are in the list by now.
fn read_backups(owner: &Owner<'_>, made: Vec<BackupId>, reach: &mut Reach) -> Result<()> {
    let listed = Listed::load(owner)?;
    if let Some((name, why)) = listed.unreadable.first_key_value() {
        return Err(unsafe_because(&format!("{}{name}.json", layout::SNAPSHOTS), why));
    }
    let backups: Vec<&BackupId> = listed.summaries.iter().map(|s| &s.id).chain(&made).collect();
    reach.extend(owner, &backups)
}

/// Copies what is needed after all, and deletes the rest.
fn finish(
    owner: &Owner<'_>,
    condemned: Condemned,
    mut ripe: HashSet<usize>,
    reach: &Reach,
    report: &mut PruneReport,
) -> Result<()> {
    let state = State::behind(owner, condemned)?;
    let records = &state.condemned.records;
    let stuck = rescue(owner, &state, &ripe, reach, report)?;
    ripe.retain(|n| !records[*n].entries.iter().any(|e| stuck.contains(&e.pack)));
    let mut deleted = HashSet::new();
    for record in ripe.iter().map(|n| &records[*n]) {
        for entry in &record.entries {
            owner.stop.check()?;
            if deleted.insert(entry.pack)
                && let Some(stored) = state.packs.get(&entry.pack)
            {
                owner.store.delete(&layout::pack(&entry.pack))?;
                report.packs_deleted += 1;
                report.bytes_freed += stored.size;
            }
        }
        owner.store.delete(&record.key)?;
    }
    let left = records.iter().enumerate().filter(|(n, _)| !ripe.contains(n)).flat_map(|(_, r)| &r.entries);
    report.bytes_freed_later += bytes_of(left.filter(|e| !deleted.contains(&e.pack)));
    Ok(())
}

/// Copies the chunks that are needed and are in condemned packs only. A condemned pack is not taken into use
/// again: another prune, asleep since it judged the pack, may delete it at any time. Gives the packs that hold
/// something which could not be copied.
fn rescue(
    owner: &Owner<'_>,
    state: &State,
    ripe: &HashSet<usize>,
    reach: &Reach,
    report: &mut PruneReport,
) -> Result<HashSet<ChunkId>> {
    let condemned = state.condemned.packs();
    let lines = || state.objects.iter().flat_map(|o| &o.entries);
    let mut lacking = reach.chunks.clone();
    for entry in lines().filter(|e| !condemned.contains(&e.pack) && state.is_there(e)) {
        for chunk in &entry.chunks {
            lacking.remove(&chunk.0);
        }
    }
    let going: HashSet<ChunkId> =
        ripe.iter().flat_map(|n| &state.condemned.records[*n].entries).map(|e| e.pack).collect();
    let sources = state.condemned.entries().chain(lines());
    let sources = sources.filter(|e| going.contains(&e.pack) && state.is_there(e));
    let (mut rewriter, mut stuck) = (Rewriter::new(owner), BTreeMap::new());
    for entry in sources {
        let wanted: HashSet<ChunkId> =
            entry.chunks.iter().map(|c| c.0).filter(|c| lacking.contains(c)).collect();
        if wanted.is_empty() {
            continue;
        }
        match rewriter.copy(entry, &wanted) {
            Ok(()) => {
                report.chunks_rescued += wanted.len() as u64;
                lacking.retain(|c| !wanted.contains(c));
            }
            Err(e) if is_unreadable(&e) => {
                owner.progress.warn(format!("a pack that is needed again cannot be read: {e}"));
                stuck.insert(entry.pack, wanted);
            }
            Err(e) => return Err(e),
        }
    }
    let rewritten = rewriter.finish()?;
    if !rewritten.lines.is_empty() {
        let (objects, bytes) = put_lines(owner, &rewritten.lines, false)?;
        report.bytes_written += rewritten.bytes + bytes;
        report.index_objects.1 += objects;
    }
    stuck.retain(|_, wanted| wanted.iter().any(|c| lacking.contains(c)));
    Ok(stuck.into_keys().collect())
}
