//! Ends of a zone (delegations and DNAMEs), and the sets that they hide.

use std::collections::BTreeSet;

use super::{Change, Reason};
use crate::{Name, RecordData, RecordKey, RecordSet, RecordType, Snapshot};

/// The delegations and DNAMEs of a zone after the changes.
pub(super) struct Cuts {
    delegations: BTreeSet<Name>,
    dnames: BTreeSet<Name>,
    /// The name servers of all delegations. Addresses of those below a cut are glue (RFC 1034, section 4.2.1), even if
    /// another delegation names them (RFC 9471, section 3.2).
    servers: BTreeSet<Name>,
}

impl Cuts {
    pub(super) fn after(current: &Snapshot, changes: &[Change]) -> Self {
        let mut cuts =
            Self { delegations: BTreeSet::new(), dnames: BTreeSet::new(), servers: BTreeSet::new() };
        let changed: BTreeSet<&RecordKey> =
            changes.iter().map(Change::key).filter(|key| may_cut(key.rtype)).collect();
        let apex = &current.zone.apex;
        for (key, observed) in current.sets.iter().filter(|(key, _)| may_cut(key.rtype)) {
            if !changed.contains(key) {
                cuts.add(apex, key, observed.plain());
            }
        }
        for set in changes.iter().filter_map(Change::after).filter(|set| may_cut(set.rtype())) {
            cuts.add(apex, set.key(), Some(set));
        }
        cuts
    }

    fn add(&mut self, apex: &Name, key: &RecordKey, set: Option<&RecordSet>) {
        if key.rtype == RecordType::DNAME {
            self.dnames.insert(key.name.clone());
        } else if key.name.is_below(apex) {
            self.delegations.insert(key.name.clone());
            self.servers.extend(set.into_iter().flat_map(RecordSet::values).filter_map(server));
        }
    }

    /// Returns why a set has no effect in the zone: it is below a cut and is not glue.
    pub(super) fn hide(&self, key: &RecordKey) -> Option<Reason> {
        if self.delegations.is_empty() && self.dnames.is_empty() {
            return None;
        }
        let glue = matches!(key.rtype, RecordType::A | RecordType::AAAA) && self.servers.contains(&key.name);
        // The name servers and keys of a delegation belong to the parent zone.
        let at_cut = matches!(key.rtype, RecordType::NS | RecordType::DS);
        let mut reason = None;
        let mut at = Some(key.name.clone());
        while let Some(name) = at {
            let own = name == key.name;
            if !glue && self.delegations.contains(&name) && !(own && at_cut) {
                reason = Some(Reason::Delegated(name.clone()));
            }
            if !own && self.dnames.contains(&name) {
                reason = Some(Reason::Redirected(name.clone()));
            }
            at = name.parent();
        }
        reason
    }

    /// Returns, for each of these, the first existing set that a new delegation or DNAME hides.
    pub(super) fn newly_hidden<'a>(
        &self,
        current: &'a Snapshot,
        changes: &[Change],
    ) -> Vec<(RecordKey, &'a RecordKey)> {
        let changed: BTreeSet<&RecordKey> = changes.iter().map(Change::key).collect();
        let made = changes.iter().filter(|change| change.before().is_none() && may_cut(change.key().rtype));
        let hidden = made.filter_map(|change| {
            let cut = change.key();
            let below = current.sets.range(RecordKey::new(cut.name.clone(), RecordType(0))..);
            let mut below = below.map(|(key, _)| key).take_while(|key| key.name.is_in(&cut.name));
            below.find(|key| !changed.contains(key) && self.hide(key).is_some()).map(|key| (cut.clone(), key))
        });
        hidden.collect()
    }
}

fn may_cut(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::NS | RecordType::DNAME)
}

fn server(value: &RecordData) -> Option<Name> {
    match value {
        RecordData::Ns(name) => Some(name.clone()),
        _ => None,
    }
}
