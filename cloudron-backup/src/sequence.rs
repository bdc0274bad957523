//! The number of the next backup.

use cloudron_core::Result;

use crate::bridge::Blocking;
use crate::forgotten::Forgotten;
use crate::keys::WriterKeys;
use crate::repository::config::Config;
use crate::repository::{Summary, summary, summary_name};
use crate::seen::Seen;
use crate::{codes, layout};

/// One more than the highest sequence number that the repository has, or had as far as is known.
///
/// Only summaries that were not seen before are read, and what is read is remembered. So the number of requests
/// does not grow with that of the backups, unless the memory was lost.
pub(crate) fn next(
    store: &Blocking,
    config: &Config,
    keys: &WriterKeys,
    seen: &mut Seen,
    warn: impl FnOnce(String),
) -> Result<u64> {
    let objects = store.list(layout::SNAPSHOTS)?;
    // A writer cannot check what the owner signed; it believes what says that a backup was removed.
    let forgotten = Forgotten::load(store, &config.id, None)?;
    let missing = seen.missing(store, objects.iter().map(|o| o.key.as_str()), &forgotten)?;
    if !missing.is_empty() {
        warn(crate::seen::rolled_back(&missing));
    }
    let is_new = |key: &String| summary_name(key).is_some_and(|name| seen.sequence(name).is_none());
    let new = objects.into_iter().map(|o| o.key).filter(is_new).collect();
    let signer = keys.signing_key()?.verifying_key();
    for (key, content) in store.get_all(new)? {
        let content = match content {
            // It was deleted since it was listed.
            Err(e) if e.is(&codes::OBJECT_MISSING) => continue,
            other => other?,
        };
        // One that is damaged or forged counts for nothing, and would be remembered for ever. `verify` reports
        // it; it must not stop the next backup.
        if summary::check_signature(&content, &signer).is_ok()
            && let Ok(summary) = Summary::parse(&content)
            && summary.check_place(summary_name(&key).unwrap_or_default(), &config.id).is_ok()
        {
            seen.add(&summary);
        }
    }
    let highest = seen.highest().max(forgotten.sequences.last().copied().unwrap_or(0));
    Ok(highest.saturating_add(1))
}
