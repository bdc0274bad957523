//! What all wishes together make of one record set.

use std::collections::{BTreeMap, BTreeSet};

use super::{Adopt, Reason};
use crate::{Intent, Ownership, RecordData, RecordKey, RecordSet, Snapshot, Ttl, spf};

/// One record set, from what it is to what it should be.
pub(super) struct Draft<'a> {
    pub(super) old: Option<&'a RecordSet>,
    pub(super) ttl: Ttl,
    pub(super) values: BTreeSet<RecordData>,
    /// Values that may go whoever made them, because what takes their place preserves them.
    pub(super) released: BTreeSet<RecordData>,
    /// Values that hold something of somebody else, and so do not become ours.
    pub(super) shared: BTreeSet<RecordData>,
    said: Said,
}

/// How much has been said about a set so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    /// Some values are wanted or not; others stay as they are.
    Part,
    All,
}

/// The sets that anything is wanted of, and the wishes that cannot be combined.
pub(super) type Drafts<'a> = BTreeMap<RecordKey, Result<Draft<'a>, Reason>>;

pub(super) fn drafts<'a>(
    desired: &[Intent],
    current: &'a Snapshot,
    ownership: &Ownership,
    adopt: &Adopt,
) -> Drafts<'a> {
    let mut drafts = Drafts::new();
    for intent in desired {
        let key = intent.key();
        let slot = drafts.entry(key.clone()).or_insert_with(|| Ok(Draft::of(current.get(&key))));
        if let Ok(draft) = slot {
            let ours = draft.old.is_none_or(|old| ownership.owns_all(old)) || adopt.allows(&key);
            if let Err(reason) = draft.combine(intent, ours) {
                *slot = Err(reason);
            }
        }
    }
    drafts
}

impl<'a> Draft<'a> {
    /// The set as it is.
    pub(super) fn of(old: Option<&'a RecordSet>) -> Self {
        Self {
            old,
            ttl: old.map_or(Ttl::DEFAULT, RecordSet::ttl),
            values: old.map(|o| o.values().iter().cloned().collect()).unwrap_or_default(),
            released: BTreeSet::new(),
            shared: BTreeSet::new(),
            said: Said::Nothing,
        }
    }

    fn combine(&mut self, intent: &Intent, ours: bool) -> Result<(), Reason> {
        match intent {
            Intent::Exactly(set) => self.become_exactly(set.ttl(), set.values()),
            Intent::Default(_) if !ours => Ok(()),
            Intent::Default(set) => self.become_exactly(set.ttl(), set.values()),
            Intent::Absent(_) => self.become_exactly(self.ttl, &[]),
            Intent::Include(set) => {
                self.set_ttl(set.ttl());
                self.values.extend(set.values().iter().cloned());
                self.say_part()
            }
            Intent::Exclude(set) => {
                set.values().iter().for_each(|value| {
                    self.values.remove(value);
                });
                self.say_part()
            }
            Intent::Spf { ttl, mechanisms, .. } => {
                self.set_ttl(*ttl);
                let merged = spf::merge(&self.texts(), mechanisms).map_err(spf_reason)?;
                self.put_spf(merged);
                self.say_part()
            }
            Intent::SpfWithout { mechanisms, .. } => {
                let rest = spf::remove(&self.texts(), mechanisms).map_err(spf_reason)?;
                self.put_spf(rest);
                self.say_part()
            }
        }
    }

    fn become_exactly(&mut self, ttl: Ttl, values: &[RecordData]) -> Result<(), Reason> {
        let values: BTreeSet<_> = values.iter().cloned().collect();
        let repeated = self.said == Said::All && self.values == values && self.ttl == ttl;
        if self.said != Said::Nothing && !repeated {
            return Err(Reason::Contradiction);
        }
        (self.ttl, self.values, self.said) = (ttl, values, Said::All);
        Ok(())
    }

    fn say_part(&mut self) -> Result<(), Reason> {
        if self.said == Said::All {
            return Err(Reason::Contradiction);
        }
        self.said = Said::Part;
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

    /// Replaces the SPF record among the texts by another, or by none.
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
