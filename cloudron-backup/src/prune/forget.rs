//! Chooses the backups to remove, and removes them from the list.

use std::collections::{BTreeMap, HashSet};

use cloudron_core::{BackupId, Error, Result};

use super::policy::{Decision, keep_in_groups};
use super::reach::Listed;
use super::request::PruneRequest;
use crate::format::forgotten::{Removed, describe_gaps};
use crate::format::summary::Summary;
use crate::keys::WriterId;
use crate::snapshot::Owner;
use crate::{codes, layout};

/// The backups to keep and to remove.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) kept: Vec<Decision>,
    pub(super) removed: Vec<BackupId>,
    /// The manifests of the removed backups.
    manifests: Vec<String>,
    /// The removed backups by writer, and the missing numbers that the owner accepted.
    of_writers: BTreeMap<Option<WriterId>, Removed>,
    /// The missing numbers without an explanation, for people.
    pub(super) gaps: Vec<String>,
}

/// Applies the request to the list.
///
/// # Errors
/// `backup-unknown`; `prune-removals` when the policy removes more than half of a group and the request does
/// not allow it.
pub(super) fn choose(listed: &Listed, request: &PruneRequest) -> Result<Chosen> {
    let named: HashSet<&str> = request.remove.iter().map(BackupId::as_str).collect();
    let known: BTreeMap<&BackupId, &Summary> = listed.summaries.iter().map(|s| (&s.id, s)).collect();
    let is_there = |id: &&BackupId| known.contains_key(id) || listed.ignored.contains_key(id.as_str());
    if let Some(id) = request.remove.iter().find(|id| !is_there(id)) {
        return Err(Error::new(&codes::BACKUP_UNKNOWN, format!("there is no backup {id} to be removed")));
    }
    let rest: Vec<_> = listed.summaries.iter().filter(|s| !named.contains(s.id.as_str())).cloned().collect();
    let groups = keep_in_groups(&request.policy, &rest);
    if !request.allow_removals {
        groups.iter().try_for_each(|group| check_removals(group))?;
    }
    let mut decisions: Vec<Decision> = groups.into_iter().flatten().collect();
    decisions.sort_by(|a, b| a.id.cmp(&b.id));
    let (kept, dropped): (Vec<_>, Vec<_>) = decisions.into_iter().partition(Decision::is_kept);
    let mut chosen = Chosen { kept, ..Chosen::default() };
    chosen.removed.extend(dropped.into_iter().map(|d| d.id).chain(request.remove.iter().cloned()));
    chosen.removed.sort();
    chosen.removed.dedup();
    let stays: HashSet<String> =
        chosen.kept.iter().filter_map(|d| known.get(&d.id)).map(|s| s.manifest_key()).collect();
    for summary in chosen.removed.iter().filter_map(|id| known.get(id)) {
        chosen.manifests.extend(Some(summary.manifest_key()).filter(|key| !stays.contains(key)));
        let removed = chosen.of_writers.entry(summary.writer).or_default();
        removed.numbers.insert(summary.sequence, summary.sequence);
        removed.backups.insert(summary.id.to_string());
    }
    // The number of an unreadable backup is unknown. If the owner removes it, missing numbers are accepted too.
    let accepted = request.forget_missing || request.remove.iter().any(|id| !known.contains_key(id));
    for (writer, gaps) in listed.gaps() {
        if accepted {
            let removed = chosen.of_writers.entry(writer).or_default();
            gaps.iter().for_each(|gap| removed.numbers.insert(*gap.start(), *gap.end()));
        } else {
            chosen.gaps.push(describe_gaps(writer, &gaps));
        }
    }
    Ok(chosen)
}

/// Refuses to remove more than half of a group.
fn check_removals(group: &[Decision]) -> Result<()> {
    let dropped: Vec<&Decision> = group.iter().filter(|d| !d.is_kept()).collect();
    let (Some(first), true) = (dropped.first(), dropped.len() * 2 > group.len()) else { return Ok(()) };
    let text = format!(
        "the policy removes {} of {} backups of a group, from {} on",
        dropped.len(),
        group.len(),
        first.id
    );
    Err(Error::new(&codes::PRUNE_REMOVALS, text))
}

impl Chosen {
    /// Removes the chosen backups: records them as forgotten first, then deletes the summaries, then the manifests.
    pub(super) fn remove(&self, owner: &Owner<'_>, listed: &mut Listed) -> Result<()> {
        for (writer, removed) in &self.of_writers {
            listed.forgotten.add(owner.store, &owner.config.id, &owner.signer, *writer, removed)?;
        }
        for id in &self.removed {
            owner.stop.check()?;
            owner.store.delete(&layout::summary(id))?;
        }
        // Backups recorded by an earlier prune that did not get to deleting them.
        let needed: HashSet<String> = listed.summaries.iter().map(Summary::manifest_key).collect();
        for summary in &listed.removed {
            owner.stop.check()?;
            owner.store.delete(&layout::summary(&summary.id))?;
            if !needed.contains(&summary.manifest_key()) {
                owner.store.delete(&summary.manifest_key())?;
            }
        }
        for manifest in &self.manifests {
            owner.stop.check()?;
            owner.store.delete(manifest)?;
        }
        Ok(())
    }
}
