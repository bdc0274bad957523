//! From records that were wanted to those of them that are removed. Pure.

use crate::{Intent, Ownership, RecordKey, RecordSet, Snapshot};

/// The wishes that undo these, as far as what they brought is ours. A mechanism that was merged into an SPF record is
/// removed from it, also from a record of others.
pub(super) fn removals(wishes: &[Intent], ownership: &Ownership) -> Vec<Intent> {
    let ours = |set: &RecordSet| {
        let values = set.values().iter().filter(|value| ownership.owns(set.key(), value)).cloned();
        RecordSet::new(set.name().clone(), set.ttl(), values).ok().map(Intent::Exclude)
    };
    let undone = wishes.iter().filter_map(|wish| match wish {
        Intent::Exactly(set) | Intent::Default(set) | Intent::Include(set) => ours(set),
        Intent::Spf { name, mechanisms, .. } => {
            Some(Intent::SpfWithout { name: name.clone(), mechanisms: mechanisms.clone() })
        }
        _ => None,
    });
    undone.collect()
}

/// The sets of these wishes that have something else in the zone than what was written from here.
pub(super) fn of_others(wishes: &[Intent], zone: &Snapshot, ownership: &Ownership) -> Vec<RecordKey> {
    let keys = wishes.iter().filter(|wish| !matches!(wish, Intent::Spf { .. })).map(Intent::key);
    let stays = |key: &RecordKey| {
        let mut there = zone.all_of(&key.name, key.rtype);
        there.any(|observed| observed.plain().is_none_or(|set| !ownership.owns_all(set)))
    };
    keys.filter(stays).collect()
}
