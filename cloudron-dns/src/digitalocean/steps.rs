//! Converts a change of a set to requests for its records.

use super::convert::{Known, Records, fields};
use super::types::Fields;
use crate::apply::unsupported;
use crate::rest::{self, Paired, pair};
use crate::{Change, Name, Observed, RecordData, RecordSet, Result};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Replaces a record in place.
    Update(u64, Fields),
    /// Creates a record.
    Create(Fields),
    /// Deletes a record.
    Delete(u64),
}

/// Returns the requests for a change, in an order that leaves a name with an answer at every moment: changes in place,
/// additions, TTLs, deletions. Unchanged records are not touched.
///
/// # Errors
/// `dns-stale` if the set does not match the change's old state, `dns-unsupported`.
pub(super) fn steps(apex: &Name, sets: &[Observed], records: &Records, change: &Change) -> Result<Vec<Step>> {
    let key = change.key();
    change.fits(sets.iter().find(|set| set.key() == key))?;
    let known = records.get(key).map_or(&[][..], Vec::as_slice);
    let Some(new) = change.after() else {
        if known.is_empty() || refusal(apex, change).is_some() {
            return Err(unsupported("DigitalOcean", key, "it cannot be deleted"));
        }
        return Ok(known.iter().map(|k| Step::Delete(k.id)).collect());
    };
    replace(apex, known, new)
}

/// Returns why a change cannot be made at DigitalOcean.
pub(super) fn refusal(apex: &Name, change: &Change) -> Option<String> {
    rest::refusal(apex, change, |set, value| fields(apex, set.key(), value, set.ttl()).err())
}

fn replace(apex: &Name, known: &[Known], new: &RecordSet) -> Result<Vec<Step>> {
    let send = |value: &RecordData| {
        fields(apex, new.key(), value, new.ttl()).map_err(|why| unsupported("DigitalOcean", new.key(), &why))
    };
    let ttl = new.ttl().seconds();
    let Paired { kept, changed, added, surplus } = pair(known, new, |k| &k.value, send)?;
    let update = |(old, new): (&Known, Fields)| Step::Update(old.id, new);
    let slow = kept.into_iter().filter(|(old, _)| old.ttl != ttl).map(update);
    let deletions = surplus.iter().map(|old| Step::Delete(old.id));
    let (changed, added) = (changed.into_iter().map(update), added.into_iter().map(Step::Create));
    Ok(changed.chain(added).chain(slow).chain(deletions).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecordType, Ttl};

    fn set(ttl: u32, values: &[&str]) -> RecordSet {
        let name = Name::parse("my.example.com").unwrap();
        RecordSet::parse(name, Ttl::new(ttl).unwrap(), RecordType::A, values.iter().copied()).unwrap()
    }

    /// Formats the steps from records with these IDs to a set: `=` in place, `+` new, `-` deleted.
    fn to(ttl: u32, old: &[(u64, &str)], new: Option<RecordSet>) -> Vec<String> {
        let apex = Name::parse("example.com").unwrap();
        let texts: Vec<&str> = old.iter().map(|(_, text)| *text).collect();
        let known = old.iter().map(|(id, text)| Known {
            id: *id,
            value: RecordData::parse(RecordType::A, text).unwrap(),
            ttl,
        });
        let before = set(ttl, &texts);
        let records = Records::from([(before.key().clone(), known.collect())]);
        let change = match new {
            Some(new) => Change::Replace { old: before.clone(), new },
            None => Change::Delete(before.clone()),
        };
        let steps = steps(&apex, &[Observed::Plain(before)], &records, &change).unwrap();
        steps
            .iter()
            .map(|step| match step {
                Step::Update(id, f) => format!("={id} {} {}", f.data, f.ttl),
                Step::Create(f) => format!("+ {}", f.data),
                Step::Delete(id) => format!("-{id}"),
            })
            .collect()
    }

    #[test]
    fn a_change_of_address_is_one_update_in_place() {
        assert_eq!(to(60, &[(7, "192.0.2.1")], Some(set(60, &["192.0.2.2"]))), ["=7 192.0.2.2 60"]);
    }

    #[test]
    fn a_set_that_grows_keeps_what_it_has_and_one_that_shrinks_deletes_last() {
        assert_eq!(to(60, &[(7, "192.0.2.1")], Some(set(60, &["192.0.2.1", "192.0.2.2"]))), ["+ 192.0.2.2"]);
        let two = [(7, "192.0.2.1"), (8, "192.0.2.2")];
        assert_eq!(to(60, &two, Some(set(60, &["192.0.2.3"]))), ["=7 192.0.2.3 60", "-8"]);
    }

    #[test]
    fn a_time_to_live_is_changed_on_every_record() {
        let two = [(7, "192.0.2.1"), (8, "192.0.2.2")];
        let slow = Some(set(3600, &["192.0.2.1", "192.0.2.2"]));
        assert_eq!(to(60, &two, slow), ["=7 192.0.2.1 3600", "=8 192.0.2.2 3600"]);
    }

    #[test]
    fn all_records_of_a_set_are_deleted_equal_ones_too() {
        assert_eq!(to(60, &[(7, "192.0.2.1"), (8, "192.0.2.1")], None), ["-7", "-8"]);
        let kept = Some(set(90, &["192.0.2.1"]));
        assert_eq!(to(60, &[(7, "192.0.2.1"), (8, "192.0.2.1")], kept), ["=7 192.0.2.1 90", "-8"]);
    }
}
