//! Combines all intents for one record set.

use std::collections::{BTreeMap, BTreeSet};

use super::Reason;
use crate::{Intent, Ownership, RecordData, RecordKey, RecordSet, Snapshot, Ttl, spf};

/// One record set, with its current and its desired state.
pub(super) struct Draft<'a> {
    pub(super) old: Option<&'a RecordSet>,
    pub(super) ttl: Ttl,
    pub(super) values: BTreeSet<RecordData>,
    /// Values that may be deleted regardless of their owner, because their replacement preserves them.
    pub(super) released: BTreeSet<RecordData>,
    /// Values with parts of another owner, which therefore do not become ours.
    pub(super) shared: BTreeSet<RecordData>,
    /// True if the intent is about the whole set, so that none of it is left to others.
    pub(super) exact: bool,
}

/// The sets with intents, and the intents that cannot be combined.
pub(super) type Drafts<'a> = BTreeMap<RecordKey, Result<Draft<'a>, Reason>>;

pub(super) fn drafts<'a>(desired: &[Intent], current: &'a Snapshot, ownership: &Ownership) -> Drafts<'a> {
    let mut wishes: BTreeMap<RecordKey, Vec<&Intent>> = BTreeMap::new();
    for intent in desired {
        wishes.entry(intent.key()).or_default().push(intent);
    }
    let drafts = wishes.into_iter().map(|(key, mut wishes)| {
        wishes.dedup();
        if contradict(&wishes) {
            return (key, Err(Reason::Contradiction));
        }
        let mut draft = Draft::of(current.get(&key));
        let ours = draft.old.is_none_or(|old| ownership.owns_all(old));
        let combined = wishes.into_iter().try_for_each(|intent| draft.follow(intent, ours));
        (key, combined.map(|()| draft))
    });
    drafts.collect()
}

/// Returns whether intents for one set contradict each other: an intent for the whole set must be the only one, and no
/// intent may remove what another one adds.
fn contradict(wishes: &[&Intent]) -> bool {
    let whole = |i: &&Intent| matches!(i, Intent::Exactly(_) | Intent::Default(_) | Intent::Absent(_));
    if wishes.iter().any(whole) {
        return wishes.len() > 1;
    }
    let included: Vec<&RecordData> = wishes.iter().flat_map(|i| values(i, true)).collect();
    let taken_out = wishes.iter().flat_map(|i| values(i, false)).any(|value| included.contains(&value));
    let merges = wishes.iter().any(|i| matches!(i, Intent::Spf { .. } | Intent::SpfWithout { .. }));
    taken_out || (merges && included.iter().any(|value| is_spf(value)))
}

fn values(intent: &Intent, wanted: bool) -> &[RecordData] {
    match intent {
        Intent::Include(set) if wanted => set.values(),
        Intent::Exclude(set) if !wanted => set.values(),
        _ => &[],
    }
}

/// Returns whether a value is an SPF record.
pub(super) fn is_spf(value: &RecordData) -> bool {
    matches!(value, RecordData::Txt(text) if spf::Record::is_spf(&text.joined()))
}

impl<'a> Draft<'a> {
    /// Creates a draft without changes.
    pub(super) fn of(old: Option<&'a RecordSet>) -> Self {
        Self {
            old,
            ttl: old.map_or(Ttl::DEFAULT, RecordSet::ttl),
            values: old.map(|o| o.values().iter().cloned().collect()).unwrap_or_default(),
            released: BTreeSet::new(),
            shared: BTreeSet::new(),
            exact: false,
        }
    }

    fn follow(&mut self, intent: &Intent, ours: bool) -> Result<(), Reason> {
        match intent {
            Intent::Default(_) if !ours => {}
            Intent::Exactly(set) | Intent::Default(set) => {
                (self.ttl, self.exact) = (set.ttl(), true);
                self.values = set.values().iter().cloned().collect();
            }
            Intent::Absent(_) => {
                self.values.clear();
                self.exact = true;
            }
            Intent::Include(set) => {
                self.set_ttl(set.ttl());
                self.values.extend(set.values().iter().cloned());
            }
            Intent::Exclude(set) => self.values.retain(|value| !set.values().contains(value)),
            Intent::Spf { ttl, mechanisms, .. } => {
                self.set_ttl(*ttl);
                self.put_spf(spf::merge(&self.texts(), mechanisms).map_err(spf_reason)?);
            }
            Intent::SpfWithout { mechanisms, .. } => {
                self.put_spf(spf::remove(&self.texts(), mechanisms).map_err(spf_reason)?);
            }
        }
        Ok(())
    }

    fn set_ttl(&mut self, ttl: Ttl) {
        if self.old.is_none() {
            self.ttl = ttl;
        }
    }

    fn texts(&self) -> Vec<Vec<u8>> {
        let texts = self.values.iter().filter_map(|v| match v {
            RecordData::Txt(text) => Some(text.joined()),
            _ => None,
        });
        texts.collect()
    }

    /// Replaces the SPF record among the texts by another, or removes it.
    fn put_spf(&mut self, change: spf::Merged) {
        let spf::Merged { old, new } = change;
        if old == new {
            return;
        }
        if let Some(old) = old {
            let old = RecordData::txt(old);
            self.values.remove(&old);
            self.released.insert(old);
            if let Some(new) = &new {
                self.shared.insert(RecordData::txt(new.clone()));
            }
        }
        self.values.extend(new.map(RecordData::txt));
    }
}

fn spf_reason(error: crate::Error) -> Reason {
    Reason::Spf(error.message().to_owned())
}
