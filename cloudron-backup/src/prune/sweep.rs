//! Deletes packs that have been condemned for long enough.
//!
//! Why no needed pack is deleted: a backup relies on a pack only if it saw no record of it, and writes its
//! lock before it reads the list. So a process that lists the locks after the record was written sees the
//! lock of every backup that may rely on the pack, unless that backup has ended: then its summary is in the
//! list read after the locks, or can no longer be written, because a tombstone is in its place.
//! `docs/prune.md` has the details.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Result, codes};

use super::reach::{Listed, Reach};
use super::report::PruneReport;
use super::rewrite::{Rewriter, is_damage, is_unreadable, put_lines};
use super::state::State;
use crate::chunk::ChunkId;
use crate::format::condemned::{Condemned, Record};
use crate::format::forgotten::describe_gaps;
use crate::format::index::{Kind, PackEntry};
use crate::format::lock::{self, Found, Holder};
use crate::format::trust::Source;
use crate::layout;
use crate::snapshot::Owner;
use crate::snapshot::slot::{self, Fate};

/// Deletes the packs of records that are older than the grace period at `now`, unless a backup may rely on them.
pub(super) fn sweep(
    owner: &Owner<'_>,
    now: SystemTime,
    grace: Duration,
    reach: &mut Reach,
    report: &mut PruneReport,
) -> Result<()> {
    let condemned = Condemned::load(owner.store, (&*owner.open, &owner.trust), None, owner.stop)?;
    // Locks are listed after all records.
    let mut ripe: HashSet<usize> =
        (0..condemned.records.len()).filter(|n| grace_is_over(&condemned.records[*n], now, grace)).collect();
    if !ripe.is_empty() {
        let made = settle_locks(owner, &condemned.records, &mut ripe, now, report)?;
        if !ripe.is_empty() {
            read_backups(owner, made, reach, report)?;
            return finish(owner, condemned, ripe, reach, report);
        }
    }
    report.bytes_freed_later = bytes_of(condemned.entries());
    Ok(())
}

pub(super) fn grace_is_over(record: &Record, now: SystemTime, grace: Duration) -> bool {
    record.modified.is_some_and(|m| m + grace <= now)
}

fn bytes_of<'a>(entries: impl Iterator<Item = &'a PackEntry>) -> u64 {
    let sizes: HashMap<ChunkId, u64> = entries.map(|e| (e.pack, e.size)).collect();
    sizes.values().sum()
}

/// Checks the locks. Records that a running backup may rely on are not ripe. Backups without a refresh for
/// too long are declared dead. Returns those that turn out to be complete.
fn settle_locks(
    owner: &Owner<'_>,
    records: &[Record],
    ripe: &mut HashSet<usize>,
    now: SystemTime,
    report: &mut PruneReport,
) -> Result<Vec<BackupId>> {
    let mut made = Vec::new();
    for lock in lock::list(owner.store, &owner.trust)?.found {
        let relies = |n: &usize| lock.may_precede(records[*n].modified);
        if !ripe.iter().any(relies) {
            continue;
        }
        match fate(owner, &lock, now, report)? {
            Some(Some(Fate::Made(backup))) => made.push(backup),
            Some(Some(Fate::Dead)) => {}
            Some(None) => {
                ripe.retain(|n| !relies(n));
                report.running.push(lock.name.clone());
                continue;
            }
            None => continue,
        }
        owner.store.delete(&lock.key)?;
    }
    report.running.sort();
    report.running.dedup();
    Ok(made)
}

/// Returns the fate of the backup of a lock, or `Some(None)` if it may be running. Returns `None` for other
/// locks: a copy into this repository only writes objects that another repository has.
fn fate(
    owner: &Owner<'_>,
    lock: &Found,
    now: SystemTime,
    report: &mut PruneReport,
) -> Result<Option<Option<Fate>>> {
    let Holder::Backup(backup, writer) = &lock.holder else { return Ok(None) };
    let (store, trust) = (owner.store, &owner.trust);
    // A decided fate is final, even if somebody restores the lock.
    if let Some(fate) = slot::fate(store, trust, backup, *writer)? {
        return Ok(Some(Some(fate)));
    }
    if lock.is_live(now) {
        return Ok(Some(None));
    }
    // Either the tombstone is written, and the backup's own summary is no longer valid, or the slot is taken.
    let fate = slot::fence(store, trust, backup, *writer, &owner.signer)?;
    if fate == Fate::Dead {
        report.fenced.push(lock.name.clone());
    }
    Ok(Some(Some(fate)))
}

/// Adds the chunks needed by all backups in the current list.
fn read_backups(
    owner: &Owner<'_>,
    made: Vec<BackupId>,
    reach: &mut Reach,
    report: &mut PruneReport,
) -> Result<()> {
    let listed = Listed::load(owner)?;
    report.missing.extend(listed.gaps().iter().map(|(writer, gaps)| describe_gaps(*writer, gaps)));
    // The summary of a removed backup, put back beside its old lock, makes it no backup again.
    let made = made.iter().filter(|id| !listed.removed.iter().any(|summary| summary.id == **id));
    let backups: Vec<&BackupId> = listed.summaries.iter().map(|s| &s.id).chain(made).collect();
    reach.extend(owner, &backups)?;
    report.missing.extend(reach.broken.iter().map(|(backup, why)| format!("{backup}: {why}")));
    Ok(())
}

/// Copies the chunks that are still needed, and deletes the rest.
fn finish(
    owner: &Owner<'_>,
    condemned: Condemned,
    mut ripe: HashSet<usize>,
    reach: &Reach,
    report: &mut PruneReport,
) -> Result<()> {
    let state = State::behind(owner, condemned)?;
    let records = &state.condemned.records;
    let stuck = if report.is_whole() { Some(rescue(owner, &state, &ripe, reach, report)?) } else { None };
    match stuck {
        Some(stuck) => ripe.retain(|n| !records[*n].entries.iter().any(|e| stuck.contains(&e.pack))),
        None => ripe.clear(),
    }
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
    report.bytes_freed_later = bytes_of(left.filter(|e| !deleted.contains(&e.pack)));
    Ok(())
}

/// Copies needed chunks that may exist only in condemned packs. A condemned pack is never used again: another
/// prune, suspended since it judged the pack, may delete it at any time. A copy elsewhere counts only if the
/// owner has read it, because claims of writers are no reason to delete. Returns the packs with needed chunks
/// that could not be copied.
fn rescue(
    owner: &Owner<'_>,
    state: &State,
    ripe: &HashSet<usize>,
    reach: &Reach,
    report: &mut PruneReport,
) -> Result<HashSet<ChunkId>> {
    let condemned = state.condemned.packs();
    let lines = || state.objects.iter().flat_map(|o| o.entries.iter().map(|e| (o.source, e)));
    let mut lacking = reach.chunks.clone();
    let proven = lines().filter(|(source, _)| *source == Source::Owner).map(|(_, e)| e);
    for entry in proven.filter(|e| !condemned.contains(&e.pack) && state.is_there(e)) {
        for chunk in &entry.chunks {
            lacking.remove(&chunk.id);
        }
    }
    let going: HashSet<ChunkId> =
        ripe.iter().flat_map(|n| &state.condemned.records[*n].entries).map(|e| e.pack).collect();
    let mut held: HashMap<ChunkId, HashSet<ChunkId>> = HashMap::new();
    for entry in state.condemned.entries().chain(lines().map(|(_, e)| e)) {
        if going.contains(&entry.pack) && state.packs.contains_key(&entry.pack) {
            let needed = entry.chunks.iter().map(|c| c.id).filter(|c| lacking.contains(c));
            held.entry(entry.pack).or_default().extend(needed);
            if entry.chunks.is_empty() {
                held.entry(entry.pack).or_default().extend(content_of(owner, &entry.pack, &lacking)?);
            }
        }
    }
    held.retain(|_, wanted| !wanted.is_empty());
    let needed = held.keys().copied().collect();
    match copy_out(owner, held, lacking, report) {
        // Other packs can be deleted nevertheless, which frees space.
        Err(e) if e.is(&codes::NO_SPACE) => {
            report.no_space = Some(e.to_string());
            Ok(needed)
        }
        other => other,
    }
}

/// Copies the chunks that are lacking elsewhere out of these packs. Returns the packs with chunks that could
/// not be copied.
fn copy_out(
    owner: &Owner<'_>,
    held: HashMap<ChunkId, HashSet<ChunkId>>,
    mut lacking: HashSet<ChunkId>,
    report: &mut PruneReport,
) -> Result<HashSet<ChunkId>> {
    let (mut rewriter, mut stuck, mut rescued) = (Rewriter::new(owner), HashMap::new(), 0);
    for (pack, wanted) in held {
        let wanted: HashSet<ChunkId> = wanted.into_iter().filter(|c| lacking.contains(c)).collect();
        if wanted.is_empty() {
            continue;
        }
        match rewriter.copy(&pack, &wanted) {
            Ok(()) => {
                rescued += wanted.len() as u64;
                lacking.retain(|c| !wanted.contains(c));
            }
            Err(e) if is_unreadable(&e) => {
                owner.progress.warn(format!("a pack that is needed again cannot be read: {e}"));
                stuck.insert(pack, wanted);
            }
            Err(e) => return Err(e),
        }
    }
    let rewritten = rewriter.finish()?;
    if !rewritten.lines.is_empty() {
        let put = put_lines(owner, &rewritten.lines, Kind::Index, Source::Owner)?;
        report.bytes_written += rewritten.bytes + put.bytes;
        report.index_objects.after += put.objects;
    }
    report.chunks_rescued += rescued;
    stuck.retain(|_, wanted: &mut HashSet<ChunkId>| wanted.iter().any(|c| lacking.contains(c)));
    Ok(stuck.into_keys().collect())
}

/// Returns the needed chunks of a pack with unknown content: it could not be read when it was condemned.
fn content_of(owner: &Owner<'_>, pack: &ChunkId, lacking: &HashSet<ChunkId>) -> Result<Vec<ChunkId>> {
    match owner.read_pack(pack) {
        Ok(entry) => Ok(entry.chunks.iter().map(|c| c.id).filter(|c| lacking.contains(c)).collect()),
        Err(e) if is_damage(&e) => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}
