//! Converts changes of sets to one batch of records.

use super::convert::{Known, Records, fields, kept_ttl};
use super::types::{BatchBody, Fields, Id};
use crate::apply::unsupported;
use crate::rest::{self, Paired, pair};
use crate::{Change, Name, Observed, RecordData, RecordSet, Result};

/// The record operations of a change.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Steps {
    pub(super) deletes: Vec<Id>,
    pub(super) patches: Vec<Fields>,
    pub(super) posts: Vec<Fields>,
}

impl Steps {
    pub(super) fn count(&self) -> usize {
        self.deletes.len() + self.patches.len() + self.posts.len()
    }

    /// Adds these operations to a batch.
    pub(super) fn join(self, body: &mut BatchBody) {
        body.deletes.extend(self.deletes);
        body.patches.extend(self.patches);
        body.posts.extend(self.posts);
    }
}

/// Returns the operations of a change. Unchanged records are not touched. A record whose value changes keeps its ID,
/// and with it its comment and tags.
///
/// # Errors
/// `dns-stale` if the set does not match the change's old state, `dns-unsupported`.
pub(super) fn steps(apex: &Name, sets: &[Observed], records: &Records, change: &Change) -> Result<Steps> {
    let key = change.key();
    change.fits(sets.iter().find(|set| set.key() == key))?;
    let known = records.get(key).map_or(&[][..], Vec::as_slice);
    match change.after() {
        Some(new) => replace(apex, known, new),
        None => match refusal(apex, change) {
            Some(why) => Err(unsupported("Cloudflare", key, &why)),
            None => Ok(delete(known)),
        },
    }
}

/// Returns why a change cannot be made at Cloudflare.
pub(super) fn refusal(apex: &Name, change: &Change) -> Option<String> {
    rest::refusal(apex, change, |set, value| fields(apex, set.key(), value, set.ttl()).err())
}

fn delete(known: &[Known]) -> Steps {
    let deletes = known.iter().map(|k| Id { id: k.id.clone() }).collect();
    Steps { deletes, ..Steps::default() }
}

fn replace(apex: &Name, known: &[Known], new: &RecordSet) -> Result<Steps> {
    let send = |value: &RecordData| {
        fields(apex, new.key(), value, new.ttl()).map_err(|why| unsupported("Cloudflare", new.key(), &why))
    };
    let ttl = new.ttl().seconds();
    let Paired { kept, changed, added, surplus } = pair(known, new, |k| &k.value, send)?;
    let patch = |(known, fields): (&Known, Fields)| Fields {
        id: Some(known.id.clone()),
        ttl: kept_ttl(known, ttl),
        ..fields
    };
    let slow = kept.into_iter().filter(|(old, _)| old.ttl != ttl);
    Ok(Steps {
        deletes: surplus.iter().map(|old| Id { id: old.id.clone() }).collect(),
        patches: slow.chain(changed).map(patch).collect(),
        posts: added,
    })
}
