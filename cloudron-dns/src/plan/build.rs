//! From wishes to changes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Draft, drafts, is_spf};
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
        titles: BTreeMap::new(),
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
    let drafts = drafts(desired, current, ownership);
    let wished: BTreeSet<RecordKey> = drafts.keys().cloned().collect();
    for (key, draft) in drafts {
        match draft {
            Ok(draft) => planner.decide(&key, draft, options.adopt.allows(&key)),
            Err(reason) => planner.refuse(&key, reason, None),
        }
    }
    if options.prune {
        planner.prune(&wished);
    }
    planner.refuse_delegated();
    planner.separate_cnames();
    planner.brake();
    let plan = planner.finish();
    let (changes, unchanged, conflicts) = (plan.changes.len(), plan.unchanged.len(), plan.conflicts.len());
    tracing::info!(zone = %plan.zone.apex, changes, unchanged, conflicts, "a plan is made");
    plan
}

struct Planner<'a> {
    current: &'a Snapshot,
    before: &'a Ownership,
    options: &'a PlanOptions,
    changes: Vec<Change>,
    /// Of each changed set, what its draft says of whose the values are.
    titles: BTreeMap<RecordKey, Title>,
    plan: Plan,
}

/// Whose the values of a changed set are.
#[derive(Default)]
struct Title {
    /// Values that hold something of somebody else, and so do not become ours.
    shared: BTreeSet<RecordData>,
    /// Whether the values that stay become ours too.
    adopted: bool,
}

impl<'a> Planner<'a> {
    /// What happens to one set. When it is adopted, values of others may go; those that stay become ours only if
    /// the whole set was wished for.
    fn decide(&mut self, key: &RecordKey, mut draft: Draft<'a>, adopted: bool) {
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
                if adopted && draft.exact {
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
        if let Some(reason) = self.forbidden(key) {
            return self.refuse(key, reason, new);
        }
        if removed.iter().any(|v| foreign(v) && !draft.released.contains(*v)) {
            return self.refuse(key, Reason::Foreign, new);
        }
        let adopted = adopted && draft.exact;
        self.titles.insert(key.clone(), Title { shared: draft.shared, adopted });
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
        let spf = set.values().iter().filter(|v| is_spf(v)).count();
        if spf > 1 && draft.old.is_none_or(|old| !old.same_values(&set)) {
            return Err(Reason::Spf(format!("there would be {spf} SPF records, where one is allowed")));
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
    fn forbidden(&self, key: &RecordKey) -> Option<Reason> {
        let apex = &self.current.zone.apex;
        if !key.name.is_in(apex) {
            return Some(Reason::NotInZone);
        }
        let at_top = key.name == *apex && matches!(key.rtype, RecordType::NS | RecordType::CNAME);
        if key.rtype == RecordType::SOA || at_top {
            return Some(Reason::Protected);
        }
        // A plain set beside weighted ones, or the other way round, would change who is answered what.
        let routed = |set: &Observed| set.key().variant.is_some() != key.variant.is_some();
        if self.current.all_of(&key.name, key.rtype).any(|set| set.plain().is_none() || routed(set)) {
            return Some(Reason::Opaque);
        }
        None
    }

    fn refuse(&mut self, key: &RecordKey, reason: Reason, wanted: Option<RecordSet>) {
        let existing: Vec<Observed> = self.current.all_of(&key.name, key.rtype).cloned().collect();
        self.plan.conflicts.push(Conflict { key: key.clone(), reason, existing, wanted });
    }

    /// Records what a change makes ours.
    fn own(&mut self, change: &Change) {
        let key = change.key();
        let title = self.titles.remove(key).unwrap_or_default();
        let old = change.before().map_or(&[][..], RecordSet::values);
        let new = change.after().map_or(&[][..], RecordSet::values);
        let all_ours = old.iter().all(|v| self.before.owns(key, v));
        let ours = new
            .iter()
            .filter(|v| title.adopted || (!old.contains(v) && (all_ours || !title.shared.contains(v))));
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
            self.decide(key, draft, false);
        }
    }

    /// Refuses to write what would lie in a zone that is delegated away, by then.
    fn refuse_delegated(&mut self) {
        let is_cut =
            |key: &RecordKey| key.rtype == RecordType::NS && key.name.is_below(&self.current.zone.apex);
        let deleted = |key: &RecordKey| self.changes.iter().any(|c| c.key() == key && c.after().is_none());
        let there = self.current.sets.keys().filter(|key| is_cut(key) && !deleted(key));
        let made = self.changes.iter().filter(|c| c.after().is_some()).map(Change::key);
        let cuts = there.chain(made.filter(|key| is_cut(key)));
        let cuts: BTreeSet<Name> = cuts.map(|key| key.name.clone()).collect();
        if cuts.is_empty() {
            return;
        }
        let behind = |key: &RecordKey| {
            // The name servers and keys of a cut are on this side of it.
            let on_this_side = matches!(key.rtype, RecordType::NS | RecordType::DS);
            cuts.iter().find(|cut| key.name.is_below(cut) || (key.name == **cut && !on_this_side)).cloned()
        };
        let refused = |change: &Change| change.after().is_some() && behind(change.key()).is_some();
        let (refused, kept) = std::mem::take(&mut self.changes).into_iter().partition(refused);
        self.changes = kept;
        let refused: Vec<Change> = refused;
        for change in refused {
            if let Some(cut) = behind(change.key()) {
                self.refuse(change.key(), Reason::Delegated(cut), change.after().cloned());
            }
        }
    }

    /// Sees to it that no CNAME ends up beside other records of its name.
    fn separate_cnames(&mut self) {
        let mut types = self.current.sets.keys().chain(self.changes.iter().map(Change::key));
        if !types.any(|key| key.rtype == RecordType::CNAME) {
            return;
        }
        let involved = |c: &Change| {
            let cname = RecordKey::new(c.key().name.clone(), RecordType::CNAME);
            c.key().rtype == RecordType::CNAME || self.current.sets.contains_key(&cname)
        };
        let written = self.changes.iter().filter(|c| c.after().is_some() && involved(c));
        let names: BTreeSet<Name> = written.map(|c| c.key().name.clone()).collect();
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
                    && self.forbidden(o.key()).is_none()
            };
            if !both_wished && in_the_way.iter().all(removable) {
                for set in in_the_way.iter().filter_map(Observed::plain) {
                    self.changes.push(Change::Delete(set.clone()));
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
        let freed = self.freed();
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
        let changes = std::mem::take(&mut self.changes);
        changes.iter().for_each(|change| self.own(change));
        self.plan.changes = changes;
        self.plan
    }

    /// The deletions without which another change of the same name cannot be made.
    fn freed(&self) -> BTreeSet<RecordKey> {
        if self.changes.iter().all(|c| c.after().is_some()) {
            return BTreeSet::new();
        }
        let is_cname = |key: &RecordKey| key.rtype == RecordType::CNAME;
        let made = self.changes.iter().filter(|c| c.after().is_some()).map(Change::key);
        let made: BTreeSet<(&Name, bool)> = made.map(|key| (&key.name, is_cname(key))).collect();
        let deleted = self.changes.iter().filter(|c| c.after().is_none()).map(Change::key);
        deleted.filter(|key| made.contains(&(&key.name, !is_cname(key)))).cloned().collect()
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
