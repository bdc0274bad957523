//! Decides which packs to keep: a pure function of the stored and the needed content.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::known::{Known, Pack};
use super::state::State;
use crate::chunk::ChunkId;
use crate::format::index::{PackEntry, PackedChunk};
use crate::format::pack::TARGET;
use crate::format::trust::Source;

/// The length in bytes below which packs are merged, once there are [`MANY`] of them.
const SMALL_PACK: u64 = TARGET as u64 / 4;
/// The length in bytes below which index objects are merged, once there are [`MANY`] of them.
const SMALL_INDEX: u64 = 256 << 10;
const MANY: usize = 16;

/// A pack to rewrite, and the chunks to copy from it.
#[derive(Debug, Clone)]
pub(crate) struct Rewrite {
    pub(crate) entry: PackEntry,
    pub(crate) chunks: HashSet<ChunkId>,
}

/// The plan for packs and index objects.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The unneeded packs.
    pub(crate) dead: Vec<PackEntry>,
    /// The packs of which little is needed.
    pub(crate) rewrite: Vec<Rewrite>,
    /// The packs that other decisions rely on, and that the owner has not read yet.
    pub(crate) unproven: HashSet<ChunkId>,
    /// The numbers of the index objects to replace.
    pub(crate) replaced: Vec<usize>,
    /// The lines to keep from them, by source.
    pub(crate) lines: BTreeMap<Source, Vec<PackEntry>>,
    /// The needed chunks that are in no existing pack.
    pub(crate) missing: HashSet<ChunkId>,
}

/// A pack and how much of it is needed.
struct Weighed<'a> {
    pack: &'a Pack,
    used: u64,
}

/// Decides about every pack. Packs for which `spare` returns true are kept even if nothing needs them.
pub(super) fn plan(
    state: &State,
    known: &Known,
    needed: &HashSet<ChunkId>,
    spare: impl Fn(&ChunkId) -> bool,
    max_rewrite: Option<u64>,
) -> Plan {
    let (owned, weighed) = share_out(&known.packs, needed);
    let mut plan = Plan::default();
    let mut stays: HashSet<ChunkId> = HashSet::new();
    let small = weighed.iter().filter(|w| w.used > 0 && w.pack.entry.size < SMALL_PACK).count();
    let mut rewritten = 0;
    for Weighed { pack, used } in &weighed {
        let entry = &pack.entry;
        let length: u64 = entry.chunks.iter().map(|c| u64::from(c.length)).sum();
        let wasteful = used * 2 < length || (small >= MANY && entry.size < SMALL_PACK);
        let may_go = !spare(&entry.pack) && is_proven(&owned, entry, known, &mut plan.unproven);
        if !may_go {
            stays.insert(entry.pack);
        } else if *used == 0 {
            plan.dead.push(entry.clone());
        } else if wasteful && max_rewrite.is_none_or(|max| rewritten + used <= max) {
            rewritten += used;
            let own = |c: &&ChunkId| owned.get(*c) == Some(&entry.pack);
            let chunks = entry.chunks.iter().map(|c| &c.id).filter(own).copied().collect();
            plan.rewrite.push(Rewrite { entry: entry.clone(), chunks });
        } else {
            stays.insert(entry.pack);
        }
    }
    // A chunk in a condemned pack is not missing: readers find it, and the sweep copies it.
    let behind: HashSet<ChunkId> = state
        .condemned
        .entries()
        .filter(|e| state.is_there(e))
        .flat_map(|e| e.chunks.iter().map(|c| c.id))
        .collect();
    let lacking = needed.iter().filter(|c| !owned.contains_key(*c) && !behind.contains(*c));
    plan.missing = lacking.copied().collect();
    plan.choose_lines(state, known, &stays);
    plan
}

/// Returns a hash of the whole line.
fn hash_of(entry: &PackEntry) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    hash.update(&entry.pack.0).update(&entry.size.to_le_bytes());
    for PackedChunk { id, offset, length, raw } in &entry.chunks {
        hash.update(&id.0);
        for number in [offset, length, raw] {
            hash.update(&number.to_le_bytes());
        }
    }
    *hash.finalize().as_bytes()
}

/// Checks that the owner has read the packs that are to provide the needed chunks of a pack instead. Unread
/// packs are recorded to be read; an unreadable pack proves nothing.
fn is_proven(
    owned: &HashMap<ChunkId, ChunkId>,
    entry: &PackEntry,
    known: &Known,
    unproven: &mut HashSet<ChunkId>,
) -> bool {
    let providers = entry.chunks.iter().filter_map(|c| owned.get(&c.id)).filter(|p| **p != entry.pack);
    let mut proven = true;
    for provider in providers {
        if !known.packs.get(provider).is_some_and(|p| p.verified) {
            proven = false;
            if !known.archived.contains(provider) {
                unproven.insert(*provider);
            }
        }
    }
    proven
}

/// Assigns each needed chunk to one pack: preferably to one that the owner has read, and among those to the
/// most used one.
fn share_out<'a>(
    packs: &'a HashMap<ChunkId, Pack>,
    needed: &HashSet<ChunkId>,
) -> (HashMap<ChunkId, ChunkId>, Vec<Weighed<'a>>) {
    let used = |pack: &Pack| -> u64 {
        pack.entry.chunks.iter().filter(|c| needed.contains(&c.id)).map(|c| u64::from(c.length)).sum()
    };
    let mut weighed: Vec<Weighed<'a>> =
        packs.values().map(|pack| Weighed { pack, used: used(pack) }).collect();
    weighed.sort_by_key(|w| (!w.pack.verified, std::cmp::Reverse(w.used), w.pack.entry.pack));
    let mut owned = HashMap::new();
    for Weighed { pack, used } in &mut weighed {
        *used = 0;
        for chunk in pack.entry.chunks.iter().filter(|c| needed.contains(&c.id)) {
            if *owned.entry(chunk.id).or_insert(pack.entry.pack) == pack.entry.pack {
                *used += u64::from(chunk.length);
            }
        }
    }
    (owned, weighed)
}

impl Plan {
    /// Chooses the index objects to replace, and the lines of them to keep. Of a pack that the owner has
    /// read, only the owner's line is kept.
    fn choose_lines(&mut self, state: &State, known: &Known, stays: &HashSet<ChunkId>) {
        // Lines of one writer about one pack may differ: each may show that a chunk is in it.
        let mut seen: HashSet<(Source, [u8; 32])> = HashSet::new();
        let mut read: HashSet<ChunkId> = HashSet::new();
        let mut goes_on = |source: Source, entry: &PackEntry| {
            if !state.is_there(entry) {
                // A line of a missing pack is kept while its chunks are needed, so that errors can name the pack.
                let mourned = entry.chunks.iter().any(|c| self.missing.contains(&c.id));
                return mourned && seen.insert((source, hash_of(entry)));
            }
            let verified = known.packs.get(&entry.pack).is_some_and(|p| p.verified);
            let counts = !verified || (source == Source::Owner && !known.learned.contains(&entry.pack));
            if counts && source == Source::Owner {
                read.insert(entry.pack);
            }
            stays.contains(&entry.pack) && counts && seen.insert((source, hash_of(entry)))
        };
        let judged: Vec<Vec<bool>> =
            state.objects.iter().map(|o| o.entries.iter().map(|e| goes_on(o.source, e)).collect()).collect();
        let mut small: BTreeMap<Source, usize> = BTreeMap::new();
        for object in state.objects.iter().filter(|o| o.size < SMALL_INDEX) {
            *small.entry(object.source).or_default() += 1;
        }
        for (number, (object, judged)) in state.objects.iter().zip(&judged).enumerate() {
            let many = small.get(&object.source).is_some_and(|n| *n >= MANY);
            let merged = many && object.size < SMALL_INDEX;
            if merged || judged.contains(&false) {
                self.replaced.push(number);
                let lines = object.entries.iter().zip(judged).filter(|(_, goes_on)| **goes_on);
                let lines = lines.map(|(line, _)| line.clone());
                self.lines.entry(object.source).or_default().extend(lines);
            }
        }
        let learned = known.learned.iter().filter(|p| stays.contains(*p) && !read.contains(*p));
        let learned = learned.filter_map(|p| known.packs.get(p)).map(|p| p.entry.clone());
        self.lines.entry(Source::Owner).or_default().extend(learned);
    }

    /// Keeps a pack that was to be rewritten and could not be read.
    pub(super) fn keep(&mut self, state: &State, known: &Known, pack: &ChunkId) {
        if let Some(learned) = known.learned.get(pack).and_then(|p| known.packs.get(p)) {
            self.lines.entry(Source::Owner).or_default().push(learned.entry.clone());
        }
        for number in &self.replaced {
            let object = &state.objects[*number];
            let lines = object.entries.iter().filter(|e| e.pack == *pack).cloned();
            self.lines.entry(object.source).or_default().extend(lines);
        }
    }
}
