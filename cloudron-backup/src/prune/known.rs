//! Knowledge about packs, from reading them or from claims of writers.

use std::collections::{HashMap, HashSet};

use cloudron_core::Result;

use super::rewrite::is_damage;
use super::state::State;
use crate::chunk::ChunkId;
use crate::codes;
use crate::format::index::{PackEntry, PackedChunk};
use crate::format::trust::Source;
use crate::snapshot::Owner;

/// An existing pack that is not condemned.
#[derive(Debug, Clone)]
pub(super) struct Pack {
    /// Its chunks: those found in it, or else all chunks that any writer claims to be in it.
    pub(super) entry: PackEntry,
    /// True if the owner read it and hashed its chunks.
    pub(super) verified: bool,
}

/// Knowledge about all packs.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) packs: HashMap<ChunkId, Pack>,
    /// The packs read by this prune, to be added to the owner's index.
    pub(super) learned: HashSet<ChunkId>,
    /// The archived packs, which cannot be read now.
    pub(super) archived: HashSet<ChunkId>,
    /// The packs found to be damaged, and why.
    pub(super) damaged: Vec<(ChunkId, String)>,
}

impl Known {
    /// Combines the lines of the index. `read` are the lines of packs that the owner has just read.
    pub(super) fn new(state: &State, read: Vec<PackEntry>) -> Self {
        let condemned = state.condemned.packs();
        let mut known = Self::default();
        for object in &state.objects {
            for entry in &object.entries {
                if !condemned.contains(&entry.pack) && state.is_there(entry) {
                    known.claim(entry, object.source == Source::Owner);
                }
            }
        }
        read.into_iter().for_each(|entry| known.learn(entry));
        known
    }

    fn claim(&mut self, entry: &PackEntry, verified: bool) {
        match self.packs.get_mut(&entry.pack) {
            None => drop(self.packs.insert(entry.pack, Pack { entry: entry.clone(), verified })),
            Some(pack) if pack.verified => {}
            Some(pack) if verified => *pack = Pack { entry: entry.clone(), verified },
            // Any line may show that a pack is needed.
            Some(pack) => {
                let there: HashSet<ChunkId> = pack.entry.chunks.iter().map(|c| c.id).collect();
                let more = entry.chunks.iter().filter(|c| !there.contains(&c.id)).cloned();
                let more: Vec<PackedChunk> = more.collect();
                pack.entry.chunks.extend(more);
            }
        }
    }

    fn learn(&mut self, entry: PackEntry) {
        self.learned.insert(entry.pack);
        self.packs.insert(entry.pack, Pack { entry, verified: true });
    }

    /// Reads a pack, and replaces the claims about it.
    ///
    /// # Errors
    /// Errors of the store. A damaged or archived pack is recorded.
    pub(super) fn verify(&mut self, owner: &Owner<'_>, pack: &ChunkId) -> Result<()> {
        owner.stop.check()?;
        match owner.read_pack(pack) {
            Ok(entry) => self.learn(entry),
            Err(e) if e.is(&codes::OBJECT_ARCHIVED) => drop(self.archived.insert(*pack)),
            Err(e) if is_damage(&e) => {
                self.damaged.push((*pack, e.to_string()));
                self.packs.remove(pack);
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }
}
