//! Which backups the owner removed, so that a backup that somebody else took away can be told from them.
//!
//! Objects `forgotten/<hash>.json` are added and never changed, so that two prunes cannot undo each other's
//! notes. Together they are the set of sequence numbers that may be missing in the list.

use std::collections::BTreeSet;

use cloudron_core::Result;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::bridge::Blocking;
use crate::repository::sign;
use crate::{codes, layout};

/// What the signed text starts with.
const SIGNED: &[u8] = b"cloudron-backup forgotten v1\n";
/// So many objects are put together into one.
const MANY: usize = 8;

#[derive(Serialize, Deserialize)]
struct Object {
    forgotten: u32,
    repository: String,
    /// Ranges of sequence numbers, first and last.
    sequences: Vec<(u64, u64)>,
}

/// The sequence numbers of backups that were removed.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    pub(crate) sequences: BTreeSet<u64>,
    /// The objects that count for nothing: key and reason.
    pub(crate) unusable: Vec<(String, String)>,
    objects: Vec<String>,
}

/// More numbers than any repository has. A signed object has no more; this bounds what a damaged one costs.
const MOST: u64 = 10_000_000;

impl Forgotten {
    /// Reads the objects that the owner signed. Without the owner's key, which a writer does not have, all of
    /// them are believed.
    pub(crate) fn load(store: &Blocking, repository: &str, owner: Option<&VerifyingKey>) -> Result<Self> {
        let mut forgotten = Self::default();
        for object in store.list(layout::FORGOTTEN)? {
            let content = match store.get(&object.key) {
                // It was put together with others since it was listed.
                Err(e) if e.is(&codes::OBJECT_MISSING) => continue,
                other => other?,
            };
            let value = serde_json::from_slice(&content).unwrap_or_default();
            if owner.is_some_and(|key| !sign::is_signed(&value, SIGNED, key)) {
                let text = "it is not signed by the owner of this repository".to_owned();
                forgotten.unusable.push((object.key, text));
                continue;
            }
            match serde_json::from_value::<Object>(value) {
                Ok(found) if found.forgotten == 1 && found.repository == repository => {
                    let ranges = found.sequences.iter().filter(|(a, b)| b.saturating_sub(*a) < MOST);
                    forgotten.sequences.extend(ranges.flat_map(|(first, last)| *first..=*last));
                    forgotten.objects.push(object.key);
                }
                _ => forgotten.unusable.push((object.key, "it cannot be read".to_owned())),
            }
        }
        Ok(forgotten)
    }

    /// Notes more of them, before they are removed.
    pub(crate) fn add(
        &mut self,
        store: &Blocking,
        repository: &str,
        key: &SigningKey,
        more: &BTreeSet<u64>,
    ) -> Result<()> {
        let new: BTreeSet<u64> = more.difference(&self.sequences).copied().collect();
        let merge = self.objects.len() >= MANY;
        if new.is_empty() && !merge {
            return Ok(());
        }
        self.sequences.extend(&new);
        let written = if merge { &self.sequences } else { &new };
        let object = Object { forgotten: 1, repository: repository.to_owned(), sequences: ranges(written) };
        let content = sign::signed_json(&object, SIGNED, key);
        let name = layout::forgotten(&layout::object_id(&content));
        store.put(&name, &content.into())?;
        if merge {
            let old = std::mem::take(&mut self.objects);
            old.iter().filter(|key| **key != name).try_for_each(|key| store.delete(key))?;
        }
        self.objects.push(name);
        Ok(())
    }
}

/// The numbers below the highest of `present` that are in neither set, as ranges.
pub(crate) fn gaps(present: &BTreeSet<u64>, forgotten: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let highest = present.last().copied().unwrap_or(0);
    let (mut gaps, mut next) = (Vec::new(), 1);
    for number in present.union(forgotten).take_while(|n| **n <= highest) {
        if *number > next {
            gaps.push((next, number - 1));
        }
        next = number.saturating_add(1).max(next);
    }
    gaps
}

/// The numbers as ranges.
fn ranges(numbers: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_missing_that_are_neither_there_nor_forgotten() {
        let set = |numbers: &[u64]| numbers.iter().copied().collect::<BTreeSet<u64>>();
        assert_eq!(gaps(&set(&[]), &set(&[3])), []);
        assert_eq!(gaps(&set(&[1, 2, 3]), &set(&[])), []);
        assert_eq!(gaps(&set(&[2, 7]), &set(&[4, 5, 9])), [(1, 1), (3, 3), (6, 6)]);
        assert_eq!(gaps(&set(&[u64::MAX]), &set(&[1])), [(2, u64::MAX - 1)]);
        assert_eq!(ranges(&set(&[1, 2, 3, 7, 9, 10])), [(1, 3), (7, 7), (9, 10)]);
    }
}
