//! The sequence number of the next backup.

use std::collections::BTreeSet;

use cloudron_core::Result;

use crate::cache::history::SnapshotHistory;
use crate::codes;
use crate::format::forgotten::Forgotten;
use crate::format::trust::{Trust, highest};
use crate::keys::WriterId;
use crate::layout::{self, summary_name};
use crate::store::blocking::Blocking;

/// Returns one more than the highest number that the writer is known to have reached.
///
/// Only new summaries are read, and then added to the local record. So the number of requests does not grow
/// with the number of backups, unless the record was lost.
///
/// # Errors
/// Errors of the store.
pub(crate) fn next(
    store: &Blocking,
    trust: &Trust,
    writer: WriterId,
    seen: &mut SnapshotHistory,
    warn: impl FnOnce(String),
) -> Result<u64> {
    let objects = store.list(layout::SNAPSHOTS)?;
    let forgotten = Forgotten::load(store, trust)?;
    let missing = seen.missing(store, objects.iter().map(|o| o.key.as_str()), &forgotten)?;
    if !missing.is_empty() {
        warn(crate::cache::history::rolled_back(&missing));
    }
    let is_new = |key: &str| summary_name(key).is_some_and(|name| seen.sequence(name).is_none());
    let new = objects.into_iter().filter(|o| is_new(&o.key)).collect();
    for (object, content) in store.get_all(new, layout::MOST_JSON)? {
        let content = match content {
            // It was deleted since it was listed, or is too large.
            Err(e) if e.is(&codes::OBJECT_MISSING) || e.is(&codes::OBJECT_CORRUPT) => continue,
            other => other?,
        };
        // One that is damaged or forged counts for nothing, and would be remembered for ever. `verify` reports
        // it; it must not stop the next backup.
        if let Ok(summary) = trust.summary(summary_name(&object.key).unwrap_or_default(), &content) {
            seen.add(&summary);
        }
    }
    let present: BTreeSet<u64> = seen.numbers(writer).collect();
    Ok(highest(&present, forgotten.of(Some(writer))) + 1)
}
