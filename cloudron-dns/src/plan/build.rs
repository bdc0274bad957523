//! Computes changes from intents. Pure functions.

use std::collections::{BTreeMap, BTreeSet};

use super::cuts::Cuts;
use super::draft::{Draft, drafts, is_spf};
use super::together::{self, Outcome};
use super::{Adjustment, Change, Conflict, Plan, PlanOptions, Reason};
use crate::{
    Atomicity, Capabilities, Intent, Observed, Ownership, RecordData, RecordKey, RecordSet, RecordType,
    Snapshot,
};

/// Returns the changes that bring a zone to the desired state, and no others.
///
/// `current` must contain every record set of the names in the intents
/// ([`names_to_read`](crate::apply::names_to_read)). Record sets without an intent are not changed. Values that are not
/// in `ownership` are neither changed nor deleted unless `options` adopts them: they become conflicts. After the plan
/// was applied, planning again finds no changes.
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
    planner.refuse_hidden();
    planner.separate(&wished);
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
    /// The effect of each changed set on ownership, from its draft.
    titles: BTreeMap<RecordKey, Title>,
    plan: Plan,
}

/// The effect of a changed set on ownership.
#[derive(Default)]
struct Title {
    /// Values with parts of another owner, which therefore do not become ours.
    shared: BTreeSet<RecordData>,
    /// True if the unchanged values become ours too.
    adopted: bool,
}

impl<'a> Planner<'a> {
    /// Decides about one set. If it is adopted, values of others may be deleted; unchanged values become ours only if
    /// the intent is about the whole set.
    fn decide(&mut self, key: &RecordKey, mut draft: Draft<'a>, adopted: bool) {
        let foreign = |value: &RecordData| !adopted && !self.before.owns(key, value);
        let old = draft.old;
        let keeps_foreign =
            old.is_some_and(|o| o.values().iter().any(|v| foreign(v) && draft.values.contains(v)));
        let mut kept_ttl = None;
        if let (true, Some(old)) = (keeps_foreign, old) {
            // The TTL belongs to the set, and so to all owners of its values.
            kept_ttl = Some((old.ttl(), draft.ttl)).filter(|(kept, wanted)| draft.exact && kept != wanted);
            draft.ttl = old.ttl();
        }
        let new = match self.target(key, &draft) {
            Ok(new) => new,
            Err(reason) => return self.refuse(key, reason, None),
        };
        if let Some((kept, wanted)) = kept_ttl {
            let what =
                format!("the TTL stays {kept} instead of {wanted}, since it has values that are not ours");
            self.plan.adjusted.push(Adjustment { key: key.clone(), what, undone: true });
        }
        let (change, removed): (_, Vec<&RecordData>) = match (old, &new) {
            (None, None) => return,
            (Some(old), Some(new)) if old == new => {
                if adopted && draft.exact {
                    self.plan.ownership.add(key, new.values());
                }
                if kept_ttl.is_none() {
                    self.plan.unchanged.push(key.clone());
                }
                return;
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

    /// Returns the set of a draft, within the capabilities of the provider.
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
            self.plan.adjusted.push(Adjustment { key: key.clone(), what, undone: false });
            set = set.with_ttl(capabilities.min_ttl);
        }
        Ok(Some(set))
    }

    /// Returns why a set may never be written, regardless of its owner.
    fn forbidden(&self, key: &RecordKey) -> Option<Reason> {
        let apex = &self.current.zone.apex;
        if !key.name.is_in(apex) {
            return Some(Reason::NotInZone);
        }
        let at_top = key.name == *apex && matches!(key.rtype, RecordType::NS | RecordType::CNAME);
        if key.rtype == RecordType::SOA || at_top {
            return Some(Reason::Protected);
        }
        // A plain set next to weighted ones, or the reverse, would change which client gets which answer.
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

    /// Records the values that a change makes ours.
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

    /// Deletes values that are ours and no longer desired.
    fn prune(&mut self, wished: &BTreeSet<RecordKey>) {
        let keys: Vec<RecordKey> = self.before.keys().filter(|k| !wished.contains(k)).cloned().collect();
        for key in keys.iter().filter(|k| k.name.is_in(&self.current.zone.apex)) {
            let Some(old) = self.current.get(key) else { continue };
            let mut draft = Draft::of(Some(old));
            draft.values.retain(|value| !self.before.owns(key, value));
            self.decide(key, draft, false);
        }
    }

    /// Refuses changes of sets that a delegation or a DNAME hides after the plan.
    fn refuse_hidden(&mut self) {
        let cuts = Cuts::after(self.current, &self.changes);
        for (cut, hidden) in cuts.newly_hidden(self.current, &self.changes) {
            let what = format!("it hides {hidden}, and what else is there below");
            self.plan.adjusted.push(Adjustment { key: cut, what, undone: false });
        }
        for change in std::mem::take(&mut self.changes) {
            match change.after().and_then(|set| cuts.hide(set.key())) {
                Some(reason) => self.refuse(change.key(), reason, change.after().cloned()),
                None => self.changes.push(change),
            }
        }
    }

    /// Ensures that the resulting sets of a name can coexist: a CNAME alone, a DS only with name servers.
    fn separate(&mut self, wished: &BTreeSet<RecordKey>) {
        for (name, changes) in together::by_name(std::mem::take(&mut self.changes)) {
            let removable = |set: &Observed| {
                let ours = |plain| self.before.owns_all(plain) || self.options.adopt.allows(set.key());
                let asked_for = wished.contains(set.key());
                set.plain().is_some_and(ours) && !asked_for && self.forbidden(set.key()).is_none()
            };
            match together::judge(&name, &changes, self.current, removable) {
                Outcome::Fine => self.changes.extend(changes),
                Outcome::InTheWay(keys) => {
                    let sets = keys.iter().filter_map(|key| self.current.get(key));
                    self.changes.extend(sets.cloned().map(Change::Delete));
                    self.changes.extend(changes);
                }
                Outcome::Refused(reason, existing) => {
                    for change in changes {
                        // A deletion by itself is still possible.
                        if change.after().is_none() && reason != Reason::DsWithoutNs {
                            self.changes.push(change);
                            continue;
                        }
                        let (key, wanted) = (change.key().clone(), change.after().cloned());
                        let (reason, existing) = (reason.clone(), existing.clone());
                        self.plan.conflicts.push(Conflict { key, reason, existing, wanted });
                    }
                }
            }
        }
    }

    /// Refuses to delete a large share of a zone by accident. If the zone was not read completely, it uses the share of
    /// the sets that were read.
    fn brake(&mut self) {
        let (deletions, all) = (together::losses(&self.changes), self.current.sets.len());
        if self.options.allow_mass_deletion || all < 10 || deletions * 10 <= all * 3 {
            return;
        }
        let read = if self.current.complete { "" } else { " that were read" };
        let reason = Reason::MassDeletion(format!("{deletions} of {all} record sets{read} would be deleted"));
        let key = RecordKey::new(self.current.zone.apex.clone(), RecordType::SOA);
        self.plan.conflicts.push(Conflict { key, reason, existing: Vec::new(), wanted: None });
    }

    fn finish(mut self) -> Plan {
        let freed = together::freed(&self.changes);
        // First the deletions that other changes depend on; then changes in place and additions, so that nothing is
        // missing at any moment; then the other deletions.
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
}

fn supported(capabilities: &Capabilities, set: &RecordSet) -> Result<(), Reason> {
    if capabilities.types.as_ref().is_some_and(|types| !types.contains(&set.rtype())) {
        let why = format!("{} records are not written at this DNS host by this program", set.rtype());
        return Err(Reason::Unsupported(why));
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
