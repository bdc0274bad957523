//! Runs a whole prune.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Error, Result, Unit};

use super::clean::clean;
use super::forget::choose;
use super::known::Known;
use super::plan::{Plan, plan};
use super::reach::{Listed, Reach};
use super::repack::repack;
use super::report::PruneReport;
use super::request::PruneRequest;
use super::rewrite::{is_damage, put_lines};
use super::state::State;
use super::sweep::{grace_is_over, sweep};
use crate::cache::history::SnapshotHistory;
use crate::chunk::ChunkId;
use crate::format::index::{Kind, PackEntry};
use crate::format::lock::{self, Found, Holder, Lock, MARGIN};
use crate::format::trust::Source;
use crate::issue::{BeforeAfter, Issue};
use crate::keys::Identity;
use crate::snapshot::{Owner, Session};
use crate::{codes, layout};

/// Prunes a repository.
pub(crate) fn run(session: Session<'_>, identity: &Identity, request: &PruneRequest) -> Result<PruneReport> {
    session.config.check_format()?;
    let owner = Owner::new(session, identity)?;
    let lock = if request.dry_run { None } else { Some(owner.lock("prune")?) };
    let now = || lock.as_ref().map_or_else(|| Ok(SystemTime::now()), Lock::store_time);
    let mut report = PruneReport { dry_run: request.dry_run, ..PruneReport::default() };

    let mut listed = Listed::load(&owner)?;
    let chosen = choose(&listed, request)?;
    let mut reach = Reach::default();
    reach.extend(&owner, &chosen.kept.iter().map(|d| &d.id).collect::<Vec<&BackupId>>())?;
    report.missing.extend(chosen.gaps.iter().cloned());
    let mut seen = SnapshotHistory::load(session.memory, &session.config.id, &session.store.url());
    if !request.forget_missing {
        report.missing.extend(seen_and_gone(&mut seen, &listed, request));
    }
    let foreign =
        listed.ignored.iter().map(|(name, why)| Issue::new(format!("{}{name}.json", layout::SNAPSHOTS), why));
    report
        .ignored
        .extend(foreign.chain(listed.forgotten.unusable.clone()).chain(owner.trust.foreign.clone()));
    (report.kept, report.removed) = (chosen.kept.clone(), chosen.removed.clone());

    let locks = lock::list(owner.store, &owner.trust)?;
    let unsigned = "nobody signed it who may hold a lock";
    report.ignored.extend(locks.foreign.iter().map(|key| Issue::new(key, unsigned)));
    let young = Young::new(locks.found, &listed, now()?, request.grace);
    let mut pass = Pass::judge(&owner, &mut reach, &young, request, &mut report)?;
    if request.dry_run {
        pass.foresee(&young, request, &mut report);
        return Ok(report);
    }
    if !report.is_whole() {
        return Ok(report);
    }
    chosen.remove(&owner, &mut listed)?;
    listed.summaries.iter().filter(|s| !chosen.removed.contains(&s.id)).for_each(|s| seen.add(s));
    seen.save();
    if pass.frees_before_it_writes(&young, request) {
        // Deletions that need no space come first, to free space in a full store.
        let done = pass.without_repack(&reach, &young).carry_out(&owner, &mut report);
        unless_full(done, &mut report)?;
        sweep(&owner, now()?, request.grace, &mut reach, &mut report)?;
        report.no_space = None;
        pass = Pass::again(&owner, &mut reach, &young, request, &mut report)?;
    }
    let done = pass.carry_out(&owner, &mut report);
    unless_full(done, &mut report)?;
    sweep(&owner, now()?, request.grace, &mut reach, &mut report)?;
    if report.is_whole() {
        clean(&owner, now()?, request.grace, &mut report)?;
    }
    Ok(report)
}

/// Records that the store is full. The prune continues, because deletions need no space.
fn unless_full(done: Result<()>, report: &mut PruneReport) -> Result<()> {
    match done {
        Err(e) if e.is(&cloudron_core::codes::NO_SPACE) => {
            report.no_space.get_or_insert_with(|| e.to_string());
            Ok(())
        }
        other => other,
    }
}

/// Names the backups seen from this computer that are no longer in the list, although the owner did not
/// remove them and does not remove them now.
fn seen_and_gone(seen: &mut SnapshotHistory, listed: &Listed, request: &PruneRequest) -> Vec<String> {
    let gone = seen.gone(|name| listed.summaries.iter().any(|s| s.id.as_str() == name), &listed.forgotten);
    let named = |name: &String| request.remove.iter().any(|id| id.as_str() == name);
    let text = |name: String| format!("{name} was in the repository, and is gone or cannot be read");
    gone.into_iter().filter(|name| !named(name)).map(text).collect()
}

/// Objects too recent to be judged: they may belong to a running backup, or to one that died recently and
/// will reuse what it stored.
struct Young {
    now: SystemTime,
    grace: Duration,
    /// The backups that may be running.
    running: Vec<String>,
    /// True if a copy into the repository is running, according to an unsigned lock.
    copied: bool,
    /// Objects from this time on may belong to one of them.
    since: Option<SystemTime>,
}

impl Young {
    fn new(locks: Vec<Found>, listed: &Listed, now: SystemTime, grace: Duration) -> Self {
        let copied = locks.iter().any(|l| l.holder == Holder::Copy && l.is_live(now));
        // The lock of a backup in the list has no meaning, even if somebody restored it.
        let is_made = |l: &Found| match &l.holder {
            Holder::Backup(id, writer) => {
                listed.summaries.iter().any(|s| s.writer == Some(*writer) && s.id.is_slot_of(id))
            }
            _ => false,
        };
        let of_backups = |l: &Found| matches!(l.holder, Holder::Backup(..)) && !is_made(l);
        let locks: Vec<Found> = locks.into_iter().filter(of_backups).collect();
        let counts = |l: &&Found| l.is_live(now) || l.age(now).is_none_or(|age| age < grace);
        let moment = |l: &Found| l.since().map_or(SystemTime::UNIX_EPOCH, |since| since - MARGIN);
        let since = locks.iter().filter(counts).map(moment).min();
        let running = locks.into_iter().filter(|l| l.is_live(now)).map(|l| l.name).collect();
        Self { now, grace, running, copied, since }
    }

    fn spares(&self, modified: Option<SystemTime>) -> bool {
        self.since.is_some_and(|since| modified.is_none_or(|m| m >= since))
    }

    /// Decides about every pack except recent ones.
    fn plan(&self, state: &State, known: &Known, reach: &Reach, max_repack: Option<u64>) -> Plan {
        let spare = |pack: &ChunkId| state.packs.get(pack).is_some_and(|p| self.spares(p.modified));
        plan(state, known, &reach.chunks, spare, max_repack)
    }

    /// Checks whether an object without references may be judged.
    fn is_orphan(&self, modified: Option<SystemTime>) -> bool {
        self.running.is_empty()
            && !self.copied
            && !self.spares(modified)
            && modified.is_some_and(|m| m + self.grace <= self.now)
    }
}

/// Packs without any index line or record.
#[derive(Default)]
struct Orphans {
    found: u64,
    /// Their lines, created by reading them.
    readable: Vec<PackEntry>,
    /// Damaged ones.
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
            let read = match stored.size <= layout::MOST_PACK {
                true => owner.read_pack(pack),
                false => Err(Error::new(&codes::OBJECT_CORRUPT, "it is larger than any pack")),
            };
            match read {
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

/// The state of the store, and the plan for it.
struct Pass {
    state: State,
    known: Known,
    /// The unreadable packs without references.
    unreadable: Vec<PackEntry>,
    plan: Plan,
}

impl Pass {
    /// Makes a plan, and reports problems.
    fn judge(
        owner: &Owner<'_>,
        reach: &mut Reach,
        young: &Young,
        request: &PruneRequest,
        report: &mut PruneReport,
    ) -> Result<Self> {
        let pass = Self::again(owner, reach, young, request, report)?;
        let unusable = pass.state.unusable.iter().chain(&pass.state.condemned.unusable);
        report.ignored.extend(unusable.map(|(object, e)| Issue::new(object, e)));
        for (backup, why) in &reach.broken {
            report.damaged.push(backup.to_string());
            report.missing.push(format!("{backup}: {why}"));
        }
        for (pack, why) in &pass.known.damaged {
            owner.progress.warn(format!("{} is damaged: {why}", layout::pack(pack)));
        }
        if !pass.plan.missing.is_empty() {
            let lack = reach.who_needs(owner, &pass.plan.missing)?;
            let count = pass.plan.missing.len();
            let text = format!(
                "{count} chunks are in no pack that is there; they are needed by {}",
                lack.join(", ")
            );
            report.damaged.extend(lack);
            report.missing.push(text);
        }
        report.damaged.sort();
        report.damaged.dedup();
        let objects = pass.state.index_objects();
        report.index_objects = BeforeAfter { before: objects, after: objects };
        Ok(pass)
    }

    /// Makes a new plan for the current state. Reads packs that other decisions rely on, until everything is proven.
    fn again(
        owner: &Owner<'_>,
        reach: &mut Reach,
        young: &Young,
        request: &PruneRequest,
        report: &mut PruneReport,
    ) -> Result<Self> {
        let state = State::load(owner)?;
        let orphans = Orphans::find(owner, &state, young)?;
        report.orphans = report.orphans.max(orphans.found);
        let mut known = Known::new(&state, orphans.readable);
        let mut plan = loop {
            let plan = young.plan(&state, &known, reach, request.max_repack);
            if plan.unproven.is_empty() || request.dry_run {
                break plan;
            }
            let total = plan.unproven.iter().filter_map(|p| state.packs.get(p)).map(|p| p.size).sum();
            let task = owner.progress.task("Checking copies", Unit::Bytes, Some(total));
            for pack in &plan.unproven {
                known.verify(owner, pack)?;
                report.packs_verified += 1;
                task.advance(state.packs.get(pack).map_or(0, |p| p.size));
            }
            task.finish();
        };
        let unreadable = orphans.unreadable;
        if plan.missing.is_empty() {
            plan.dead.extend(unreadable.iter().cloned());
        }
        Ok(Self { state, known, unreadable, plan })
    }

    /// Checks whether packs are rewritten while others can be deleted at once.
    fn frees_before_it_writes(&self, young: &Young, request: &PruneRequest) -> bool {
        let grace_is_over = |record| grace_is_over(record, young.now, request.grace);
        let frees = request.grace.is_zero() && !self.plan.dead.is_empty();
        !self.plan.rewrite.is_empty() && (frees || self.state.condemned.records.iter().any(grace_is_over))
    }

    /// Returns a plan that keeps every needed pack as it is.
    fn without_repack(self, reach: &Reach, young: &Young) -> Self {
        let Self { state, known, unreadable, .. } = self;
        let mut plan = young.plan(&state, &known, reach, Some(0));
        plan.dead.extend(unreadable.iter().cloned());
        Self { state, known, unreadable, plan }
    }

    /// Writes the records of condemned packs, the new packs and the index objects, and removes the replaced
    /// ones only afterwards.
    fn carry_out(self, owner: &Owner<'_>, report: &mut PruneReport) -> Result<()> {
        let Self { state, known, mut plan, .. } = self;
        // The record comes first: it is small, and even if the store is full, the packs in it are deleted later.
        condemn(owner, &std::mem::take(&mut plan.dead), report)?;
        let rewritten = repack(owner, &state, &known, &mut plan, report)?;
        plan.lines.entry(Source::Owner).or_default().extend(rewritten.lines);
        report.bytes_written += rewritten.bytes;
        let mut written = 0;
        for (source, lines) in &plan.lines {
            let put = put_lines(owner, lines, Kind::Index, *source)?;
            written += put.objects;
            report.bytes_written += put.bytes;
        }
        condemn(owner, &plan.dead, report)?;
        // Counted by this pass: others may have added index objects since an earlier one.
        report.index_objects.after = state.index_objects() + written - plan.replaced.len() as u64;
        for number in plan.replaced {
            owner.stop.check()?;
            owner.store.delete(&state.objects[number].key)?;
        }
        Ok(())
    }

    /// Fills the report of a dry run.
    fn foresee(&self, young: &Young, request: &PruneRequest, report: &mut PruneReport) {
        let Self { state, plan, .. } = self;
        report.running.clone_from(&young.running);
        report.packs_repacked = plan.rewrite.len() as u64;
        let goes: Vec<&PackEntry> = plan.dead.iter().chain(plan.rewrite.iter().map(|r| &r.entry)).collect();
        report.packs_condemned = goes.len() as u64;
        let written = plan.lines.values().filter(|lines| !lines.is_empty()).count() as u64;
        report.index_objects.after = state.index_objects() - plan.replaced.len() as u64 + written;
        let mut seen = HashSet::new();
        let mut count = |entry: &PackEntry, now: bool| {
            if !seen.insert(entry.pack) {
                return;
            }
            if now {
                report.packs_deleted += 1;
                report.bytes_freed += entry.size;
            } else {
                report.bytes_freed_later += entry.size;
            }
        };
        // Without a grace period, both steps are done at once.
        let at_once = young.running.is_empty() && request.grace.is_zero();
        goes.into_iter().for_each(|entry| count(entry, at_once));
        for record in &state.condemned.records {
            let ripe = young.running.is_empty() && grace_is_over(record, young.now, request.grace);
            record.entries.iter().filter(|e| state.is_there(e)).for_each(|entry| count(entry, ripe));
        }
    }
}

/// Writes a record of condemned packs.
fn condemn(owner: &Owner<'_>, packs: &[PackEntry], report: &mut PruneReport) -> Result<()> {
    report.bytes_written += put_lines(owner, packs, Kind::Condemned, Source::Owner)?.bytes;
    report.packs_condemned += packs.len() as u64;
    Ok(())
}
