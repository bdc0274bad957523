//! Which packs stay: a function of what is stored and what is needed.

use std::collections::{HashMap, HashSet};

use super::state::State;
use crate::chunk::ChunkId;
use crate::index::PackEntry;
use crate::pack::TARGET;

/// Packs below this length are put together once there are [`MANY`] of them.
const SMALL_PACK: u64 = TARGET as u64 / 4;
/// Index objects below this length are put together once there are [`MANY`] of them, in bytes.
const SMALL_INDEX: u64 = 256 << 10;
const MANY: usize = 16;

/// A pack that is written anew, and which of its chunks are.
#[derive(Debug, Clone)]
pub(crate) struct Rewrite {
    pub(crate) entry: PackEntry,
    pub(crate) chunks: HashSet<ChunkId>,
}

/// What becomes of packs and index objects.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The packs that nothing needs.
    pub(crate) dead: Vec<PackEntry>,
    /// The packs of which little is needed.
    pub(crate) rewrite: Vec<Rewrite>,
    /// The numbers of the index objects that are replaced.
    pub(crate) replaced: Vec<usize>,
    /// The lines of those that stay.
    pub(crate) lines: Vec<PackEntry>,
    /// The chunks that are needed and are in no pack that is there.
    pub(crate) missing: HashSet<ChunkId>,
}

/// A pack and how much of it is needed.
struct Weighed<'a> {
    entry: &'a PackEntry,
    used: u64,
}

/// Judges every pack. `extra` are lines of packs that no index names. Packs for which `spare` is true stay even
/// if nothing needs them.
pub(crate) fn plan(
    state: &State,
    extra: Vec<PackEntry>,
    needed: &HashSet<ChunkId>,
    spare: impl Fn(&ChunkId) -> bool,
    max_rewrite: Option<u64>,
) -> Plan {
    let condemned = state.condemned.packs();
    let mut packs: HashMap<ChunkId, &PackEntry> = HashMap::new();
    for entry in state.objects.iter().flat_map(|o| &o.entries).chain(&extra) {
        if !condemned.contains(&entry.pack) && state.is_there(entry) {
            packs.entry(entry.pack).or_insert(entry);
        }
    }
    let (owned, weighed) = share_out(&packs, needed);
    let mut plan = Plan::default();
    let mut stays: HashSet<ChunkId> = HashSet::new();
    let small = weighed.iter().filter(|w| w.used > 0 && w.entry.size < SMALL_PACK).count();
    let mut rewritten = 0;
    for Weighed { entry, used } in &weighed {
        let length: u64 = entry.chunks.iter().map(|c| u64::from(c.2)).sum();
        let wasteful = used * 2 < length || (small >= MANY && entry.size < SMALL_PACK);
        if spare(&entry.pack) {
            stays.insert(entry.pack);
        } else if *used == 0 {
            plan.dead.push((*entry).clone());
        } else if wasteful && max_rewrite.is_none_or(|max| rewritten + used <= max) {
            rewritten += used;
            let own = |c: &&ChunkId| owned.get(*c) == Some(&entry.pack);
            let chunks = entry.chunks.iter().map(|c| &c.0).filter(own).copied().collect();
            plan.rewrite.push(Rewrite { entry: (*entry).clone(), chunks });
        } else {
            stays.insert(entry.pack);
        }
    }
    // A chunk in a condemned pack is not missing: readers find it, and the sweep looks for it.
    let behind: HashSet<ChunkId> = state
        .condemned
        .entries()
        .filter(|e| state.is_there(e))
        .flat_map(|e| e.chunks.iter().map(|c| c.0))
        .collect();
    let lacking = needed.iter().filter(|c| !owned.contains_key(*c) && !behind.contains(*c));
    plan.missing = lacking.copied().collect();
    plan.choose_lines(state, &extra, &stays);
    plan
}

/// Gives each chunk that is needed to one pack: to the one that is used most anyway.
fn share_out<'a>(
    packs: &HashMap<ChunkId, &'a PackEntry>,
    needed: &HashSet<ChunkId>,
) -> (HashMap<ChunkId, ChunkId>, Vec<Weighed<'a>>) {
    let used = |entry: &PackEntry| -> u64 {
        entry.chunks.iter().filter(|c| needed.contains(&c.0)).map(|c| u64::from(c.2)).sum()
    };
    let mut weighed: Vec<Weighed<'a>> =
        packs.values().map(|entry| Weighed { entry, used: used(entry) }).collect();
    weighed.sort_by_key(|w| (std::cmp::Reverse(w.used), w.entry.pack));
    let mut owned = HashMap::new();
    for Weighed { entry, used } in &mut weighed {
        *used = 0;
        for chunk in entry.chunks.iter().filter(|c| needed.contains(&c.0)) {
            if *owned.entry(chunk.0).or_insert(entry.pack) == entry.pack {
                *used += u64::from(chunk.2);
            }
        }
    }
    (owned, weighed)
}

impl Plan {
    /// Which index objects are written anew, and the lines of them that go on.
    fn choose_lines(&mut self, state: &State, extra: &[PackEntry], stays: &HashSet<ChunkId>) {
        let mut seen = HashSet::new();
        let mut goes_on = |entry: &PackEntry| {
            // A line of a lost pack goes on while somebody misses what was in it, so that errors can name it.
            let mourned = || entry.chunks.iter().any(|c| self.missing.contains(&c.0));
            let there = stays.contains(&entry.pack) && state.is_there(entry);
            let lost = !state.is_there(entry) && mourned();
            (there || lost) && seen.insert(entry.pack)
        };
        let judged: Vec<Vec<bool>> =
            state.objects.iter().map(|o| o.entries.iter().map(&mut goes_on).collect()).collect();
        let orphans: Vec<PackEntry> = extra.iter().filter(|e| goes_on(e)).cloned().collect();
        let small = state.objects.iter().filter(|o| o.size < SMALL_INDEX).count();
        for (number, (object, judged)) in state.objects.iter().zip(&judged).enumerate() {
            let merged = small >= MANY && object.size < SMALL_INDEX;
            if merged || judged.contains(&false) {
                self.replaced.push(number);
                let lines = object.entries.iter().zip(judged).filter(|(_, goes_on)| **goes_on);
                self.lines.extend(lines.map(|(line, _)| line.clone()));
            }
        }
        self.lines.extend(orphans);
    }
}
