//! Between record sets and records that have ids, for interfaces that take one record at a time. Pure.

use std::collections::BTreeMap;

use crate::{Change, Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result};

/// Sets, and what is known of the records of each that is not opaque.
type Grouped<K> = (Vec<Observed>, BTreeMap<RecordKey, Vec<K>>);

/// The sets that records make, and what is known of the records of each. A set that cannot be expressed is opaque.
pub(crate) fn grouped<L, K>(
    listed: &[L],
    key: impl Fn(&L) -> Result<RecordKey>,
    plain: impl Fn(&RecordKey, &[&L]) -> Option<(RecordSet, Vec<K>)>,
    shown: impl Fn(&L) -> String,
) -> Result<Grouped<K>> {
    let mut groups: BTreeMap<RecordKey, Vec<&L>> = BTreeMap::new();
    for record in listed {
        groups.entry(key(record)?).or_default().push(record);
    }
    let (mut observed, mut records) = (Vec::new(), BTreeMap::new());
    for (key, group) in groups {
        match plain(&key, &group) {
            Some((set, known)) => {
                observed.push(Observed::Plain(set));
                records.insert(key, known);
            }
            None => {
                let what = group.iter().map(|record| shown(record)).collect::<Vec<_>>().join(" and ");
                observed.push(Observed::Opaque { key, what });
            }
        }
    }
    Ok((observed, records))
}

/// The records that are there beside what is to be sent for each value that is wanted.
pub(crate) struct Paired<'k, K, F> {
    /// Those whose value stays.
    pub(crate) kept: Vec<(&'k K, F)>,
    /// Those that take another value in place.
    pub(crate) changed: Vec<(&'k K, F)>,
    /// For values that have no record to take.
    pub(crate) added: Vec<F>,
    /// Those that no value takes.
    pub(crate) surplus: Vec<&'k K>,
}

/// Pairs records with the values of a set, so that as few as possible change. `fields` makes what is sent for a
/// value, also for one that stays: its set must be one that can be written.
pub(crate) fn pair<'k, K, F>(
    known: &'k [K],
    new: &RecordSet,
    value: impl Fn(&K) -> &RecordData,
    fields: impl Fn(&RecordData) -> Result<F>,
) -> Result<Paired<'k, K, F>> {
    let mut free: Vec<&K> = known.iter().collect();
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    for wanted in new.values() {
        let fields = fields(wanted)?;
        match free.iter().position(|k| value(k) == wanted) {
            Some(at) => kept.push((free.remove(at), fields)),
            None => missing.push(fields),
        }
    }
    let in_place = free.len().min(missing.len());
    let surplus = free.split_off(in_place);
    let added = missing.split_off(in_place);
    Ok(Paired { kept, changed: free.into_iter().zip(missing).collect(), added, surplus })
}

/// Why a change cannot be made at a host that keeps a zone's own name servers: what it says of one of the values.
pub(crate) fn refusal(
    apex: &Name,
    change: &Change,
    refused: impl Fn(&RecordSet, &RecordData) -> Option<String>,
) -> Option<String> {
    let key = change.key();
    let Some(new) = change.after() else {
        let top = key.name == *apex && key.rtype == RecordType::NS;
        return top.then(|| "it cannot be deleted".to_owned());
    };
    new.values().iter().find_map(|value| refused(new, value))
}
