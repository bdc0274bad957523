//! Which backups go, and taking them out of the list.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cloudron_core::{BackupId, Error, Result};

use super::owner::{Owner, unsafe_because};
use super::policy::{Decision, keep};
use super::reach::Listed;
use super::report::PruneRequest;
use crate::codes;
use crate::forgotten::{Forgotten, gaps};
use crate::layout;

/// A longer row of missing numbers is not one of backups that were once there.
const MANY_GAPS: u64 = 100_000;

/// Which backups stay and which go.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) kept: Vec<Decision>,
    pub(super) removed: Vec<BackupId>,
    /// The sequence numbers of those.
    sequences: BTreeSet<u64>,
}

/// Applies the request to the list.
///
/// # Errors
/// `prune-unsafe` for a summary that cannot be used, unless its backup is to be removed; `backup-unknown`.
pub(super) fn choose(listed: &Listed, request: &PruneRequest) -> Result<Chosen> {
    let named: HashSet<&str> = request.remove.iter().map(BackupId::as_str).collect();
    if let Some((name, why)) = listed.unreadable.iter().find(|(name, _)| !named.contains(name.as_str())) {
        return Err(unsafe_because(&format!("{}{name}.json", layout::SNAPSHOTS), why));
    }
    let sequences: BTreeMap<&BackupId, u64> = listed.summaries.iter().map(|s| (&s.id, s.sequence)).collect();
    if let Some(id) = request
        .remove
        .iter()
        .find(|id| !sequences.contains_key(id) && !listed.unreadable.contains_key(id.as_str()))
    {
        return Err(Error::new(&codes::BACKUP_UNKNOWN, format!("there is no backup {id} to be removed")));
    }
    let rest: Vec<_> = listed.summaries.iter().filter(|s| !named.contains(s.id.as_str())).cloned().collect();
    let (kept, dropped): (Vec<_>, Vec<_>) =
        keep(&request.policy, &rest).into_iter().partition(Decision::is_kept);
    let mut chosen = Chosen { kept, ..Chosen::default() };
    chosen.removed.extend(dropped.into_iter().map(|d| d.id).chain(request.remove.iter().cloned()));
    chosen.removed.sort();
    chosen.removed.dedup();
    chosen.sequences = chosen.removed.iter().filter_map(|id| sequences.get(id).copied()).collect();
    if chosen.removed.iter().any(|id| listed.unreadable.contains_key(id.as_str())) {
        // Nobody knows its number. The owner said that it may go, and so may the numbers that are missing.
        let present: BTreeSet<u64> = sequences.values().copied().collect();
        let gaps = gaps(&present, &BTreeSet::new()).into_iter().filter(|(a, b)| b - a < MANY_GAPS);
        chosen.sequences.extend(gaps.flat_map(|(first, last)| first..=last));
    }
    Ok(chosen)
}

impl Chosen {
    /// Removes what is to go: first noted as forgotten, then out of the list, then its manifest.
    pub(super) fn remove(&self, owner: &Owner<'_>) -> Result<()> {
        if self.removed.is_empty() {
            return Ok(());
        }
        let key = owner.identity.owner_key();
        let mut forgotten = Forgotten::load(owner.store, &owner.config.id, Some(&key.verifying_key()))?;
        forgotten.add(owner.store, &owner.config.id, &key, &self.sequences)?;
        for id in &self.removed {
            owner.stop.check()?;
            owner.store.delete(&layout::summary(id))?;
            owner.store.delete(&layout::manifest(id))?;
            // It was made, and its lock may have stayed all the same.
            owner.store.delete(&layout::lock(id.as_str()))?;
        }
        Ok(())
    }
}
