//! Which values of a zone are ours.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{RecordData, RecordKey, RecordSet};

/// Which values of which record sets this program wrote or adopted. Only those are ever changed or deleted.
///
/// It is data for the caller to keep, beside whatever else is known of the machine; nothing is added to the zone.
/// To be safe against a crash between writing the zone and writing this down, keep the
/// [union](Self::union) of the old one and [`Plan::ownership`](crate::Plan) before applying a plan, and the plan's
/// alone afterwards: a value that was to be written and was not is simply not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<RecordSet>", into = "Vec<RecordSet>")]
pub struct Ownership {
    values: BTreeMap<RecordKey, BTreeSet<RecordData>>,
}

impl Ownership {
    /// Nothing is ours.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether a value of a set is ours.
    pub fn owns(&self, key: &RecordKey, value: &RecordData) -> bool {
        self.values.get(key).is_some_and(|values| values.contains(value))
    }

    /// Whether every value of a set is ours.
    pub fn owns_all(&self, set: &RecordSet) -> bool {
        set.values().iter().all(|value| self.owns(set.key(), value))
    }

    /// The sets of which something is ours.
    pub fn keys(&self) -> impl Iterator<Item = &RecordKey> {
        self.values.keys()
    }

    /// What is ours of a set.
    pub fn values(&self, key: &RecordKey) -> impl Iterator<Item = &RecordData> {
        self.values.get(key).into_iter().flatten()
    }

    /// From now on these values are ours.
    pub fn add<'a>(&mut self, key: &RecordKey, values: impl IntoIterator<Item = &'a RecordData>) {
        let mut values = values.into_iter().cloned().peekable();
        if values.peek().is_some() {
            self.values.entry(key.clone()).or_default().extend(values);
        }
    }

    /// From now on these values are not ours.
    pub fn remove<'a>(&mut self, key: &RecordKey, values: impl IntoIterator<Item = &'a RecordData>) {
        if let Some(ours) = self.values.get_mut(key) {
            values.into_iter().for_each(|value| {
                ours.remove(value);
            });
            if ours.is_empty() {
                self.values.remove(key);
            }
        }
    }

    /// What is ours by either.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        other.values.iter().for_each(|(key, values)| all.add(key, values));
        all
    }
}

/// Everything in these sets is ours; their times to live do not matter.
impl From<Vec<RecordSet>> for Ownership {
    fn from(sets: Vec<RecordSet>) -> Self {
        let mut ownership = Self::none();
        sets.iter().for_each(|set| ownership.add(set.key(), set.values()));
        ownership
    }
}

impl From<Ownership> for Vec<RecordSet> {
    fn from(ownership: Ownership) -> Self {
        let sets = ownership.values.into_iter().map(|(key, values)| {
            let set = RecordSet::new(key.name, crate::Ttl::MIN, values).expect("the values are of one set");
            match key.variant {
                Some(variant) => set.with_variant(variant),
                None => set,
            }
        });
        sets.collect()
    }
}
