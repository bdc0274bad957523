//! From wishes to changes. Pure.

use std::collections::BTreeSet;

use super::draft::{Draft, drafts};
use super::{Adjustment, Change, Conflict, Plan, PlanOptions, Reason};
use crate::{
    Atomicity, Capabilities, Intent, Name, Observed, Ownership, RecordData, RecordKey, RecordSet, RecordType,
    Snapshot,
};

/// The changes that make a zone hold what is desired, and no others.
///
/// `current` must hold every record set of the names that the wishes are about
/// ([`names_to_read`](crate::apply::names_to_read)). Record sets that nobody wished anything of are not touched, and
/// values that `ownership` does not know are neither changed nor deleted unless `options` adopts them: they become
/// conflicts. Applied and planned again, nothing is left to do.
pub fn plan(desired: &[Intent], current: &Snapshot, ownership: &Ownership, options: &PlanOptions) -> Plan {
    let mut planner = Planner {
        current,
        before: ownership,
        options,
        changes: Vec::new(),
        plan: Plan {
            zone: current.zone.clone(),
            changes: Vec::new(),
            unchanged: Vec::new(),
            conflicts: Vec::new(),
            adjusted: Vec::new(),
            gaps: Vec::new(),
            atomicity: options.capabilities.as_ref().map_or(Atomicity::Batch, |c| c.atomicity),
            ownership: ownership.clone(),
        },
    };
    let drafts = drafts(desired, current, ownership, &options.adopt);
    let wished: BTreeSet<RecordKey> = drafts.keys().cloned().collect();
    for (key, draft) in drafts {
        match draft {
            Ok(draft) => planner.decide(&key, draft),
            Err(reason) => planner.refuse(&key, reason, None),
        }
    }
    if options.prune {
        planner.prune(&wished);
    }
    planner.separate_cnames();
    planner.brake();
    planner.finish()
}

struct Planner<'a> {
    current: &'a Snapshot,
    before: &'a Ownership,
    options: &'a PlanOptions,
    changes: Vec<Change>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    /// What happens to one set.
    fn decide(&mut self, key: &RecordKey, mut draft: Draft<'a>) {
        let adopted = self.options.adopt.allows(key);
        let foreign = |value: &RecordData| !adopted && !self.before.owns(key, value);
        let old = draft.old;
        let keeps_foreign =
            old.is_some_and(|o| o.values().iter().any(|v| foreign(v) && draft.values.contains(v)));
        if let (true, Some(old)) = (keeps_foreign, old) {
            // The time to live belongs to the set, and so to those who have values in it.
            draft.ttl = old.ttl();
        }
        let new = match self.target(key, &draft) {
            Ok(new) => new,
            Err(reason) => return self.refuse(key, reason, None),
        };
        let (change, removed): (_, Vec<&RecordData>) = match (old, &new) {
            (None, None) => return,
            (Some(old), Some(new)) if old == new => {
                if adopted {
                    self.plan.ownership.add(key, new.values());
                }
                return self.plan.unchanged.push(key.clone());
            }
            (None, Some(new)) => (Change::Create(new.clone()), Vec::new()),
            (Some(old), Some(new)) => {
                let removed = old.values().iter().filter(|v| !new.values().contains(v)).collect();
                (Change::Replace { old: old.clone(), new: new.clone() }, removed)
            }
            (Some(old), None) => (Change::Delete(old.clone()), old.values().iter().collect()),
        };
        if let Some(reason) = self.forbidden(key, new.as_ref()) {
            return self.refuse(key, reason, new);
        }
        if removed.iter().any(|v| foreign(v) && !draft.released.contains(*v)) {
            return self.refuse(key, Reason::Foreign, new);
        }
        self.own(&change, &draft.shared, adopted);
        self.changes.push(change);
    }

    /// The set that a draft asks for, within what the provider can do.
    fn target(&mut self, key: &RecordKey, draft: &Draft<'_>) -> Result<Option<RecordSet>, Reason> {
        if draft.values.is_empty() {
            return Ok(None);
        }
        let unsupported = |e: crate::Error| Reason::Unsupported(e.message().to_owned());
        let mut set =
            RecordSet::new(key.name.clone(), draft.ttl, draft.values.clone()).map_err(unsupported)?;
        if let Some(variant) = &key.variant {
            set = set.with_variant(variant.clone());
        }
        let Some(capabilities) = &self.options.capabilities else { return Ok(Some(set)) };
        supported(capabilities, &set)?;
        if set.ttl() < capabilities.min_ttl && draft.old.is_none_or(|old| old.ttl() != set.ttl()) {
            let what = format!("the TTL is {} instead of {}", capabilities.min_ttl, set.ttl());
            self.plan.adjusted.push(Adjustment { key: key.clone(), what });
            set = set.with_ttl(capabilities.min_ttl);
        }
        Ok(Some(set))
    }

    /// Why a set may never be written, whoever made it.
    fn forbidden(&self, key: &RecordKey, new: Option<&RecordSet>) -> Option<Reason> {
        let apex = &self.current.zone.apex;
        if !key.name.is_in(apex) {
            return Some(Reason::NotInZone);
        }
        let at_top = key.name == *apex && matches!(key.rtype, RecordType::NS | RecordType::CNAME);
        if key.rtype == RecordType::SOA || at_top {
            return Some(Reason::Protected);
        }
        let opaque = self.current.all_of(&key.name, key.rtype).any(|set| set.plain().is_none());
        if opaque {
            return Some(Reason::Opaque);
        }
        let delegation = delegation_above(self.current, key);
        delegation.filter(|_| new.is_some()).map(Reason::Delegated)
    }

    fn refuse(&mut self, key: &RecordKey, reason: Reason, wanted: Option<RecordSet>) {
        let existing: Vec<Observed> = self.current.all_of(&key.name, key.rtype).cloned().collect();
        self.plan.conflicts.push(Conflict { key: key.clone(), reason, existing, wanted });
    }

    /// Records whose values a change makes ours.
    fn own(&mut self, change: &Change, shared: &BTreeSet<RecordData>, adopted: bool) {
        let key = change.key();
        let old = change.before().map_or(&[][..], RecordSet::values);
        let new = change.after().map_or(&[][..], RecordSet::values);
        let all_ours = old.iter().all(|v| self.before.owns(key, v));
        let ours = new.iter().filter(|v| adopted || !old.contains(v));
        let ours: Vec<_> = ours.filter(|v| adopted || all_ours || !shared.contains(v)).collect();
        self.plan.ownership.add(key, ours);
        self.plan.ownership.remove(key, old.iter().filter(|v| !new.contains(v)));
    }

    /// Removes what is ours and nobody wishes any more.
    fn prune(&mut self, wished: &BTreeSet<RecordKey>) {
        let keys: Vec<RecordKey> = self.before.keys().filter(|k| !wished.contains(k)).cloned().collect();
        for key in keys.iter().filter(|k| k.name.is_in(&self.current.zone.apex)) {
            let Some(old) = self.current.get(key) else { continue };
            let mut draft = Draft::of(Some(old));
            draft.values.retain(|value| !self.before.owns(key, value));
            self.decide(key, draft);
        }
    }

    /// Sees to it that no CNAME ends up beside other records of its name.
    fn separate_cnames(&mut self) {
        let names: BTreeSet<Name> =
            self.changes.iter().filter(|c| c.after().is_some()).map(|c| c.key().name.clone()).collect();
        for name in names {
            let (cnames, others) = self.final_types(&name);
            if cnames.is_empty() || others.is_empty() {
                continue;
            }
            let wanted: Vec<Change> = self
                .changes
                .iter()
                .filter(|c| c.key().name == name && c.after().is_some())
                .cloned()
                .collect();
            let stays = |key: &RecordKey| !wanted.iter().any(|c| c.key() == key);
            let mut in_the_way: Vec<Observed> = Vec::new();
            for key in cnames.iter().chain(&others).filter(|k| stays(k)) {
                in_the_way.extend(self.current.sets.get(key).cloned());
            }
            let both_wished = cnames.iter().any(|k| !stays(k)) && others.iter().any(|k| !stays(k));
            let removable = |o: &Observed| {
                o.plain().is_some_and(|set| self.before.owns_all(set) || self.options.adopt.allows(set.key()))
                    && !self.plan.unchanged.contains(o.key())
                    && self.forbidden(o.key(), None).is_none()
            };
            if !both_wished && in_the_way.iter().all(removable) {
                for set in in_the_way.iter().filter_map(Observed::plain) {
                    let change = Change::Delete(set.clone());
                    self.own(&change, &BTreeSet::new(), true);
                    self.changes.push(change);
                }
                continue;
            }
            let reason = if both_wished { Reason::Contradiction } else { Reason::CnameAndOther };
            for change in wanted {
                let conflict = Conflict {
                    key: change.key().clone(),
                    reason: reason.clone(),
                    existing: in_the_way.clone(),
                    wanted: change.after().cloned(),
                };
                self.plan.conflicts.push(conflict);
                self.changes.retain(|c| *c != change);
            }
        }
    }

    /// The types that a name would have after the changes: CNAMEs, and all others that exclude one.
    fn final_types(&self, name: &Name) -> (Vec<RecordKey>, Vec<RecordKey>) {
        let changed = |key: &RecordKey| self.changes.iter().any(|c| c.key() == key);
        let kept = self.current.at(name).map(Observed::key).filter(|key| !changed(key));
        let made =
            self.changes.iter().filter(|c| c.after().is_some() && c.key().name == *name).map(Change::key);
        // A signed name has signatures beside its CNAME (RFC 4035, section 2.5).
        let (cnames, others): (Vec<_>, Vec<_>) =
            kept.chain(made).cloned().partition(|key| key.rtype == RecordType::CNAME);
        (
            cnames,
            others.into_iter().filter(|key| key.rtype != RecordType::RRSIG && key.rtype.0 != 47).collect(),
        )
    }

    /// Refuses to delete a large share of a zone by accident.
    fn brake(&mut self) {
        let deletions = self.changes.iter().filter(|c| c.after().is_none()).count();
        let all = self.current.sets.len();
        if self.options.allow_mass_deletion || !self.current.complete || all < 10 || deletions * 10 <= all * 3
        {
            return;
        }
        let reason = Reason::MassDeletion(format!("{deletions} of {all} record sets would be deleted"));
        let key = RecordKey::new(self.current.zone.apex.clone(), RecordType::SOA);
        self.plan.conflicts.push(Conflict { key, reason, existing: Vec::new(), wanted: None });
    }

    fn finish(mut self) -> Plan {
        let freed: BTreeSet<RecordKey> = self.changes.iter().filter_map(|c| self.frees_name(c)).collect();
        // What stands in the way goes first; then changes in place and additions, so that nothing is missing at any
        // moment; deletions come last.
        let phase = |change: &Change| match change {
            Change::Delete(set) if freed.contains(set.key()) => 0,
            Change::Replace { .. } => 1,
            Change::Create(_) => 2,
            Change::Delete(_) => 3,
        };
        self.changes.sort_by(|a, b| (phase(a), a.key()).cmp(&(phase(b), b.key())));
        if self.plan.atomicity != Atomicity::Batch {
            self.plan.gaps = freed.into_iter().collect();
        }
        self.plan.conflicts.sort_by(|a, b| a.key.cmp(&b.key));
        self.plan.unchanged.sort();
        self.plan.changes = self.changes;
        self.plan
    }

    /// The key of a deletion without which another change of the same name cannot be made.
    fn frees_name(&self, change: &Change) -> Option<RecordKey> {
        let Change::Delete(set) = change else { return None };
        let is_cname = |key: &RecordKey| key.rtype == RecordType::CNAME;
        let needed = self.changes.iter().any(|other| {
            let same_name = other.key().name == *set.name() && other.after().is_some();
            same_name && is_cname(other.key()) != is_cname(set.key())
        });
        needed.then(|| set.key().clone())
    }
}

fn supported(capabilities: &Capabilities, set: &RecordSet) -> Result<(), Reason> {
    if capabilities.types.as_ref().is_some_and(|types| !types.contains(&set.rtype())) {
        return Err(Reason::Unsupported(format!("the provider has no {} records", set.rtype())));
    }
    let longest = set.values().iter().map(|v| match v {
        RecordData::Txt(text) => text.joined().len(),
        _ => 0,
    });
    match longest.max() {
        Some(length) if length > capabilities.max_txt => Err(Reason::Unsupported(format!(
            "the text has {length} bytes, and the provider takes {}",
            capabilities.max_txt
        ))),
        _ => Ok(()),
    }
}

/// The zone cut that a record lies behind: a name server set between it and the top of the zone. The name servers
/// and keys of the cut itself are on this side of it.
fn delegation_above(current: &Snapshot, key: &RecordKey) -> Option<Name> {
    let on_this_side = matches!(key.rtype, RecordType::NS | RecordType::DS);
    let mut name = if on_this_side { key.name.parent() } else { Some(key.name.clone()) };
    while let Some(at) = name.filter(|n| n.is_below(&current.zone.apex)) {
        if current.all_of(&at, RecordType::NS).next().is_some() {
            return Some(at);
        }
        name = at.parent();
    }
    None
}
