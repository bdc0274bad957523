//! Rebuilds the index from the packs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

use cloudron_core::{Error, Result, Unit};

use super::reach::{Listed, each_chunk};
use super::report::RepairReport;
use super::request::RepairRequest;
use super::rewrite::{Rewriter, is_damage, put_lines};
use super::state::State;
use crate::chunk::ChunkId;
use crate::format::forgotten::describe_gaps;
use crate::format::index::{Kind, PackEntry, PackedChunk};
use crate::format::pack_scan::chunks_in;
use crate::format::trust::Source;
use crate::issue::{BeforeAfter, Issue};
use crate::keys::Identity;
use crate::snapshot::{Owner, Session};
use crate::{codes, layout};

/// Repairs a repository.
pub(crate) fn repair(
    session: Session<'_>,
    identity: &Identity,
    request: &RepairRequest,
) -> Result<RepairReport> {
    session.config.check_format()?;
    let owner = Owner::new(session, identity)?;
    let _lock = if request.dry_run { None } else { Some(owner.lock("repair")?) };
    let mut report = RepairReport { dry_run: request.dry_run, ..RepairReport::default() };
    let state = State::load(&owner)?;
    let unusable = state.unusable.iter().chain(&state.condemned.unusable);
    report.index_unusable = unusable.map(|(object, e)| Issue::new(object, e)).collect();
    crate::prune::copies::put_back(&owner, request.dry_run, &mut report.restored)?;
    let mut found = Found::read(&owner, &state, &mut report)?;
    if !request.dry_run {
        save_chunks(&owner, &mut found, &mut report)?;
    }
    found.mourn(&state);
    let before = state.index_objects();
    report.index_objects = BeforeAfter { before, after: before };
    if !request.dry_run && found.differs(&state) {
        report.index_objects.after = replace(&owner, &state, &found)?;
    }
    check_backups(&owner, &state, &found, &mut report)?;
    Ok(report)
}

/// The content of the packs.
#[derive(Default)]
struct Found {
    /// The lines of the new index, for packs that were read.
    lines: Vec<PackEntry>,
    /// The lines of unreadable packs that may become readable, by their source.
    unread: BTreeMap<Source, Vec<PackEntry>>,
    /// The chunks that can be read.
    chunks: HashSet<ChunkId>,
    /// The packs that are damaged.
    damaged: Vec<ChunkId>,
}

impl Found {
    /// Reads every pack that is not condemned, so that the owner has seen everything in the new index.
    fn read(owner: &Owner<'_>, state: &State, report: &mut RepairReport) -> Result<Self> {
        let condemned = state.condemned.packs();
        let mut known: HashMap<ChunkId, Vec<(Source, &PackEntry)>> = HashMap::new();
        for object in &state.objects {
            for entry in &object.entries {
                known.entry(entry.pack).or_default().push((object.source, entry));
            }
        }
        let mut packs: Vec<ChunkId> =
            state.packs.keys().filter(|p| !condemned.contains(*p)).copied().collect();
        packs.sort();
        let total = packs.iter().filter_map(|p| state.packs.get(p)).map(|p| p.size).sum();
        let task = owner.progress.task("Reading packs", Unit::Bytes, Some(total));
        let mut found = Self::default();
        for pack in packs {
            owner.stop.check()?;
            report.packs += 1;
            let size = state.packs.get(&pack).map_or(0, |p| p.size);
            let read = match size <= layout::MOST_PACK {
                true => owner.read_pack(&pack),
                false => Err(Error::new(&codes::OBJECT_CORRUPT, "it is larger than any pack")),
            };
            match read {
                Ok(line) => {
                    report.packs_added += u64::from(!known.contains_key(&pack));
                    found.add(line);
                }
                // Its lines stay claims of their writer.
                Err(e) if e.is(&codes::OBJECT_ARCHIVED) => {
                    for (source, line) in known.get(&pack).into_iter().flatten() {
                        found.chunks.extend(line.chunks.iter().map(|c| c.id));
                        found.unread.entry(*source).or_default().push((*line).clone());
                    }
                }
                Err(e) if is_damage(&e) => {
                    report.packs_damaged.push(Issue::new(layout::pack(&pack), e));
                    found.damaged.extend(Some(pack).filter(|_| size <= layout::MOST_PACK));
                }
                Err(e) => return Err(e),
            }
            task.advance(state.packs.get(&pack).map_or(0, |p| p.size));
        }
        task.finish();
        Ok(found)
    }

    fn add(&mut self, line: PackEntry) {
        self.chunks.extend(line.chunks.iter().map(|c| c.id));
        self.lines.push(line);
    }

    /// Keeps the lines of missing packs with content that is nowhere else: the pack may be restored from a
    /// copy. A line of a damaged pack would keep writers from storing its chunks again.
    fn mourn(&mut self, state: &State) {
        let mut seen: HashSet<ChunkId> = HashSet::new();
        for object in &state.objects {
            for line in &object.entries {
                let alone = || line.chunks.iter().any(|c| !self.chunks.contains(&c.id));
                if !state.is_there(line) && alone() && seen.insert(line.pack) {
                    self.unread.entry(object.source).or_default().push(line.clone());
                }
            }
        }
    }

    /// Checks whether the index differs from the stored one.
    fn differs(&self, state: &State) -> bool {
        let map = |lines: &mut dyn Iterator<Item = &PackEntry>| -> BTreeMap<ChunkId, Vec<PackedChunk>> {
            lines.map(|l| (l.pack, l.chunks.clone())).collect()
        };
        let owners = state.objects.iter().filter(|o| o.source == Source::Owner).flat_map(|o| &o.entries);
        let is_damaged = |(_, e): &(String, Error)| !e.is(&codes::OBJECT_FOREIGN);
        state.unusable.iter().chain(&state.condemned.unusable).any(is_damaged)
            || state.objects.iter().any(|o| o.source != Source::Owner)
            || map(&mut self.lines.iter()) != map(&mut owners.into_iter())
    }
}

/// Copies readable chunks of damaged packs that are nowhere else.
fn save_chunks(owner: &Owner<'_>, found: &mut Found, report: &mut RepairReport) -> Result<()> {
    let mut rewriter = Rewriter::new(owner);
    for pack in &found.damaged {
        owner.stop.check()?;
        let content = match owner.store.get_at_most(&layout::pack(pack), crate::format::pack::MOST) {
            Err(e) if is_damage(&e) => continue,
            other => other?,
        };
        let plain = readable_part(owner, &content);
        for chunk in chunks_in(&plain, &owner.namer).0 {
            if found.chunks.insert(chunk.id) {
                let end = chunk.offset as usize + chunk.length as usize;
                rewriter.add(chunk.id, &plain[chunk.offset as usize..end], chunk.raw)?;
                report.chunks_saved += 1;
            }
        }
    }
    found.lines.extend(rewriter.finish()?.lines);
    Ok(())
}

/// Returns the plaintext up to the damage.
fn readable_part(owner: &Owner<'_>, content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(content.len());
    if let Ok(mut reader) = owner.open.open(Box::new(content)) {
        let mut part = vec![0; 64 << 10];
        while let Ok(n) = reader.read(&mut part)
            && n > 0
        {
            plain.extend_from_slice(&part[..n]);
        }
    }
    plain
}

/// Writes the new index and removes the old one. Returns the number of objects.
fn replace(owner: &Owner<'_>, state: &State, found: &Found) -> Result<u64> {
    let mut objects = put_lines(owner, &found.lines, Kind::Index, Source::Owner)?.objects;
    for (source, lines) in &found.unread {
        objects += put_lines(owner, lines, Kind::Index, *source)?.objects;
    }
    let old = state.objects.iter().map(|o| &o.key);
    // Objects without a valid signature are not deleted, and are ignored.
    let damaged = state.unusable.iter().chain(&state.condemned.unusable);
    let damaged = damaged.filter(|(_, e)| !e.is(&codes::OBJECT_FOREIGN)).map(|(key, _)| key);
    for key in old.chain(damaged) {
        owner.store.delete(key)?;
    }
    Ok(objects)
}

/// Reports which backups have all chunks they need.
fn check_backups(owner: &Owner<'_>, state: &State, found: &Found, report: &mut RepairReport) -> Result<()> {
    let condemned = state.condemned.entries().filter(|e| state.is_there(e));
    let behind: HashSet<ChunkId> = condemned.flat_map(|e| &e.chunks).map(|c| c.id).collect();
    let listed = Listed::load(owner)?;
    let task = owner.progress.task("Checking backups", Unit::Items, Some(listed.summaries.len() as u64));
    for summary in &listed.summaries {
        let mut lacking = HashSet::new();
        let read = each_chunk(owner, &summary.id, |chunk| {
            if !found.chunks.contains(&chunk) && !behind.contains(&chunk) {
                lacking.insert(chunk);
            }
        });
        match read {
            Ok(()) if lacking.is_empty() => report.whole += 1,
            Ok(()) => {
                let text = format!("{} of its chunks are in no pack that can be read", lacking.len());
                report.damaged.push(Issue::new(summary.id.to_string(), text));
            }
            Err(e) if e.is(&codes::PRUNE_UNSAFE) => {
                report.damaged.push(Issue::new(summary.id.to_string(), Error::message(&e)));
            }
            Err(e) => return Err(e),
        }
        task.advance(1);
    }
    task.finish();
    for (writer, gaps) in listed.gaps() {
        report.damaged.push(Issue::new(layout::SNAPSHOTS, describe_gaps(writer, &gaps)));
    }
    Ok(())
}
