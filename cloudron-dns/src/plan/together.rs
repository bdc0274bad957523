//! Coexistence of record sets at a name.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Reason};
use crate::{Name, Observed, RecordKey, RecordType, Snapshot};

/// The result for the changes of a name.
pub(super) enum Outcome {
    /// They are possible.
    Fine,
    /// These sets must be deleted first.
    InTheWay(Vec<RecordKey>),
    /// They are not possible, because of existing sets.
    Refused(Reason, Vec<Observed>),
}

/// Groups the changes by name.
pub(super) fn by_name(changes: Vec<Change>) -> BTreeMap<Name, Vec<Change>> {
    let mut groups: BTreeMap<Name, Vec<Change>> = BTreeMap::new();
    for change in changes {
        groups.entry(change.key().name.clone()).or_default().push(change);
    }
    groups
}

/// Evaluates the changes of one name. `removable` returns whether an existing set may be deleted.
pub(super) fn judge(
    name: &Name,
    changes: &[Change],
    current: &Snapshot,
    removable: impl Fn(&Observed) -> bool,
) -> Outcome {
    let changed = |key: &RecordKey| changes.iter().any(|change| change.key() == key);
    let kept: Vec<&Observed> = current.at(name).filter(|set| !changed(set.key())).collect();
    let made: Vec<&RecordKey> = changes.iter().filter(|c| c.after().is_some()).map(Change::key).collect();
    let is = |rtype: RecordType| move |key: &&RecordKey| key.rtype == rtype;
    let types = || kept.iter().map(|set| set.key()).chain(made.iter().copied());
    let at_top = *name == current.zone.apex;
    // An unchanged set is as others left it, unless its name servers are removed.
    let ds_changes = changes.iter().any(|c| matches!(c.key().rtype, RecordType::DS | RecordType::NS));
    if ds_changes && types().any(|key| is(RecordType::DS)(&key)) {
        let delegated = !at_top && types().any(|key| is(RecordType::NS)(&key));
        if !delegated {
            let ds = kept.iter().filter(|set| set.key().rtype == RecordType::DS);
            return Outcome::Refused(Reason::DsWithoutNs, ds.map(|set| (*set).clone()).collect());
        }
    }
    let is_cname = is(RecordType::CNAME);
    let excluded = |key: &&RecordKey| !is_cname(key) && !beside_cname(key.rtype);
    if made.is_empty() || !types().any(|key| is_cname(&key)) || !types().any(|key| excluded(&key)) {
        return Outcome::Fine;
    }
    if made.iter().any(is_cname) && made.iter().any(excluded) {
        return Outcome::Refused(Reason::Contradiction, Vec::new());
    }
    let makes_cname = made.iter().any(is_cname);
    let stands = |set: &&&Observed| if makes_cname { excluded(&set.key()) } else { is_cname(&set.key()) };
    let in_the_way: Vec<&Observed> = kept.iter().filter(stands).copied().collect();
    if in_the_way.is_empty() {
        // Both existed before, and neither is created.
        return Outcome::Fine;
    }
    if in_the_way.iter().all(|set| removable(set)) {
        return Outcome::InTheWay(in_the_way.into_iter().map(|set| set.key().clone()).collect());
    }
    Outcome::Refused(Reason::CnameAndOther, in_the_way.into_iter().cloned().collect())
}

/// Returns whether a type may coexist with a CNAME: a signed name has signatures (RFC 4035, section 2.5).
fn beside_cname(rtype: RecordType) -> bool {
    rtype == RecordType::RRSIG || rtype == RecordType::NSEC
}

/// Returns the deletions that other changes depend on: of sets that exclude a set of the same name, of delegations and
/// DNAMEs above a name, and of sets below new ones.
pub(super) fn freed(changes: &[Change]) -> BTreeSet<RecordKey> {
    let mut freed = excluded(changes);
    let (made, deleted): (Vec<&Change>, Vec<&Change>) = changes.iter().partition(|c| c.after().is_some());
    let cuts = |changes: &[&'_ Change]| -> BTreeMap<Name, RecordKey> {
        let cuts = changes.iter().map(|change| change.key());
        let cuts = cuts.filter(|key| matches!(key.rtype, RecordType::NS | RecordType::DNAME));
        cuts.map(|key| (key.name.clone(), key.clone())).collect()
    };
    let (old, new) = (cuts(&deleted), cuts(&made));
    for change in made.iter().filter(|_| !old.is_empty()) {
        freed.extend(ancestors(&change.key().name).filter_map(|name| old.get(&name).cloned()));
    }
    for change in deleted.iter().filter(|_| !new.is_empty()) {
        if ancestors(&change.key().name).any(|name| new.contains_key(&name)) {
            freed.insert(change.key().clone());
        }
    }
    freed
}

fn ancestors(name: &Name) -> impl Iterator<Item = Name> {
    std::iter::successors(name.parent(), Name::parent)
}

/// Returns the deletions of sets that exclude a set that is created at the same name.
fn excluded(changes: &[Change]) -> BTreeSet<RecordKey> {
    if changes.iter().all(|change| change.after().is_some()) {
        return BTreeSet::new();
    }
    let is_cname = |key: &RecordKey| key.rtype == RecordType::CNAME;
    let made = changes.iter().filter(|c| c.after().is_some()).map(Change::key);
    let made: BTreeSet<(&Name, bool)> = made.map(|key| (&key.name, is_cname(key))).collect();
    let deleted = changes.iter().filter(|c| c.after().is_none()).map(Change::key);
    deleted.filter(|key| made.contains(&(&key.name, !is_cname(key)))).cloned().collect()
}

/// Returns the number of sets that are deleted without a replacement of another type at their name.
pub(super) fn losses(changes: &[Change]) -> usize {
    changes.iter().filter(|change| change.after().is_none()).count() - excluded(changes).len()
}
