//! A prune from end to end.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Progress, Result, Unit};

use super::clean::clean;
use super::forget::choose;
use super::owner::{Owner, is_owners};
use super::plan::{Plan, plan};
use super::reach::{Listed, Reach};
use super::report::{PruneReport, PruneRequest};
use super::rewrite::{Rewriter, is_damage, is_unreadable, put_lines};
use super::state::State;
use super::sweep::{is_ripe, sweep};
use crate::bridge::{Blocking, Stop};
use crate::chunk::ChunkId;
use crate::chunk::scan::chunks_in;
use crate::index::PackEntry;
use crate::keys::Identity;
use crate::lock::{self, Found, MARGIN};
use crate::repository::config::Config;
use crate::{codes, layout, pack};

/// Prunes a repository.
pub(crate) fn run(
    store: &Blocking,
    config: &Config,
    identity: &Identity,
    request: &PruneRequest,
    progress: &Progress,
    stop: &Stop,
) -> Result<PruneReport> {
    let owner = Owner::new(store, config, identity, progress, stop)?;
    let lock = if request.dry_run { None } else { Some(owner.lock("prune")?) };
    let now = || lock.as_ref().map_or_else(|| Ok(SystemTime::now()), |lock| lock.store_time());
    let mut report = PruneReport { dry_run: request.dry_run, ..PruneReport::default() };

    let listed = Listed::load(&owner)?;
    let chosen = choose(&listed, request)?;
    let mut reach = Reach::default();
    reach.extend(&owner, &chosen.kept.iter().map(|d| &d.id).collect::<Vec<&BackupId>>())?;
    if !request.dry_run {
        chosen.remove(&owner)?;
    }
    (report.kept, report.removed) = (chosen.kept, chosen.removed);

    let young = Young::new(lock::list(store)?, now()?, request.grace);
    let state = State::load(&owner)?;
    for (object, error) in state.unusable.iter().chain(&state.condemned.unusable) {
        progress.warn(format!("{object} cannot be used and stays as it is: {error}"));
    }
    let orphans = Orphans::find(&owner, &state, &young)?;
    let spare = |pack: &ChunkId| state.packs.get(pack).is_some_and(|p| young.spares(p.modified));
    let mut plan = plan(&state, orphans.readable, &reach.chunks, spare, request.max_repack);
    report.orphans = orphans.found;
    if plan.missing.is_empty() {
        plan.dead.extend(orphans.unreadable);
    } else {
        report.damaged = reach.who_needs(&owner, &plan.missing)?;
    }
    report.index_objects.0 = (state.objects.len() + state.unusable.len()) as u64;
    if request.dry_run {
        foresee(&state, &plan, &young, request.grace, &mut report);
        return Ok(report);
    }
    carry_out(&owner, &state, plan, &mut report)?;
    sweep(&owner, now()?, request.grace, &mut reach, &mut report)?;
    clean(&owner, now()?, request.grace, &mut report)?;
    Ok(report)
}

/// What is too young to be judged: it may be of a backup that runs, or died a short while ago and will be made
/// again with what it stored.
struct Young {
    now: SystemTime,
    grace: Duration,
    /// The backups that may run.
    running: Vec<String>,
    /// From here on things may be of one of them.
    since: Option<SystemTime>,
}

impl Young {
    fn new(locks: Vec<Found>, now: SystemTime, grace: Duration) -> Self {
        let locks: Vec<Found> = locks.into_iter().filter(|l| !is_owners(&l.name)).collect();
        let counts = |l: &&Found| l.is_live(now) || l.age(now).is_none_or(|age| age < grace);
        let moment = |l: &Found| l.since().map_or(SystemTime::UNIX_EPOCH, |since| since - MARGIN);
        let since = locks.iter().filter(counts).map(moment).min();
        let running = locks.into_iter().filter(|l| l.is_live(now)).map(|l| l.name).collect();
        Self { now, grace, running, since }
    }

    fn spares(&self, modified: Option<SystemTime>) -> bool {
        self.since.is_some_and(|since| modified.is_none_or(|m| m >= since))
    }

    /// Whether something that nothing names may be judged.
    fn is_orphan(&self, modified: Option<SystemTime>) -> bool {
        self.running.is_empty()
            && !self.spares(modified)
            && modified.is_some_and(|m| m + self.grace <= self.now)
    }
}

/// Packs that no index and no record names.
#[derive(Default)]
struct Orphans {
    found: u64,
    /// Their lines, made from what is in them.
    readable: Vec<PackEntry>,
    /// Those that are damaged.
    unreadable: Vec<PackEntry>,
}

impl Orphans {
    fn find(owner: &Owner<'_>, state: &State, young: &Young) -> Result<Self> {
        let mut named = state.condemned.packs();
        let lines = state.objects.iter().flat_map(|o| &o.entries).filter(|e| state.is_there(e));
        named.extend(lines.map(|e| e.pack));
        let mut orphans = Self::default();
        for (pack, stored) in &state.packs {
            if named.contains(pack) || !young.is_orphan(stored.modified) {
                continue;
            }
            owner.stop.check()?;
            match read_pack(owner, pack) {
                Ok(line) => orphans.readable.push(line),
                Err(e) if e.is(&codes::OBJECT_ARCHIVED) => continue,
                Err(e) if is_damage(&e) => {
                    orphans.unreadable.push(PackEntry { pack: *pack, size: stored.size, chunks: Vec::new() });
                }
                Err(e) => return Err(e),
            }
            orphans.found += 1;
        }
        Ok(orphans)
    }
}

/// The line of a pack, from what is in it.
///
/// # Errors
/// `object-corrupt`, `object-missing`; what the store reports.
pub(super) fn read_pack(owner: &Owner<'_>, id: &ChunkId) -> Result<PackEntry> {
    let content = owner.store.get(&layout::pack(id))?;
    let plain = pack::open(&content, id, &*owner.open)?;
    match chunks_in(&plain, &owner.namer) {
        (chunks, true) => Ok(PackEntry { pack: *id, size: content.len() as u64, chunks }),
        _ => Err(cloudron_core::Error::new(&codes::OBJECT_CORRUPT, "it holds what is no chunk")),
    }
}

/// Writes packs, index and the record of the condemned anew, and only then takes away what they replace.
fn carry_out(owner: &Owner<'_>, state: &State, mut plan: Plan, report: &mut PruneReport) -> Result<()> {
    let total = plan.rewrite.iter().map(|r| r.entry.size).sum();
    let task = owner.progress.task("Repacking", Unit::Bytes, Some(total));
    let mut rewriter = Rewriter::new(owner);
    for rewrite in std::mem::take(&mut plan.rewrite) {
        match rewriter.copy(&rewrite.entry, &rewrite.chunks) {
            Ok(()) => {
                report.packs_repacked += 1;
                plan.dead.push(rewrite.entry.clone());
            }
            Err(e) if is_unreadable(&e) => {
                owner.progress.warn(format!("a pack stays as it is: {e}"));
                plan.lines.push(rewrite.entry.clone());
            }
            Err(e) => return Err(e),
        }
        task.advance(rewrite.entry.size);
    }
    let rewritten = rewriter.finish()?;
    task.finish();
    plan.lines.extend(rewritten.lines);
    let (objects, bytes) = put_lines(owner, &plan.lines, false)?;
    let (_, more) = put_lines(owner, &plan.dead, true)?;
    report.packs_condemned = plan.dead.len() as u64;
    report.bytes_written = rewritten.bytes + bytes + more;
    report.index_objects.1 = report.index_objects.0 + objects - plan.replaced.len() as u64;
    for number in plan.replaced {
        owner.stop.check()?;
        owner.store.delete(&state.objects[number].key)?;
    }
    Ok(())
}

/// What a prune would do, for the report.
fn foresee(state: &State, plan: &Plan, young: &Young, grace: Duration, report: &mut PruneReport) {
    report.running.clone_from(&young.running);
    report.packs_repacked = plan.rewrite.len() as u64;
    let goes: Vec<&PackEntry> = plan.dead.iter().chain(plan.rewrite.iter().map(|r| &r.entry)).collect();
    report.packs_condemned = goes.len() as u64;
    report.bytes_freed_later = goes.iter().map(|e| e.size).sum();
    report.index_objects.1 =
        report.index_objects.0 - plan.replaced.len() as u64 + u64::from(!plan.lines.is_empty());
    let mut seen = HashSet::new();
    for record in &state.condemned.records {
        let ripe = young.running.is_empty() && is_ripe(record, young.now, grace);
        for entry in record.entries.iter().filter(|e| state.is_there(e) && seen.insert(e.pack)) {
            if ripe {
                report.packs_deleted += 1;
                report.bytes_freed += entry.size;
            } else {
                report.bytes_freed_later += entry.size;
            }
        }
    }
}
