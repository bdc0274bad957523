//! Publishes a backup, so that it is listed.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use cloudron_core::{Error, Result};

use super::write::Done;
use super::{BackupRun, unfinished};
use crate::cache::history::SnapshotHistory;
use crate::format::config::whole_second;
use crate::format::lock::Lock;
use crate::format::manifest::{HeaderSource, Kind, describe};
use crate::format::summary::{self, Origin, SourceRef, Summary};
use crate::snapshot::{filter, sequence, slot};
use crate::{codes, layout};

/// Stores the manifest and, at the end, the summary, which makes the backup listed.
///
/// # Errors
/// `backup-exists`, `backup-aborted`; `source-invalid` for a backup that the writer's certificate does not
/// allow; errors of the store.
pub(super) fn publish(
    run: &BackupRun<'_>,
    done: Done,
    origin: Option<Origin>,
    cache_dir: Option<&Path>,
    begun: &Begun,
    lock: &mut Lock,
) -> Result<Summary> {
    let (request, store) = (run.request, run.store);
    run.stop.check()?;
    let manifest = describe(done.manifest.path())?;
    let pending = cache_dir.and_then(|dir| unfinished::Pending::note(dir, &request.id, &manifest.sha256));
    // An existing object of this name has the same content, since it is named by its hash.
    store.put_new_file(&layout::manifest(&manifest.sha256), done.manifest.path())?;
    let mut seen = SnapshotHistory::load(cache_dir, &run.config.id, &store.url());
    let time = jiff::Timestamp::try_from(request.id.time()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let named = |s: HeaderSource| SourceRef { name: s.name, path: s.path.display().to_string() };
    let counts = done.counts;
    let mut summary = Summary {
        schema: summary::SCHEMA,
        id: request.id.clone(),
        repository: run.config.id.clone(),
        sequence: sequence::next(store, &run.trust, run.writer(), &mut seen, |missing| {
            run.progress.warn(missing);
        })?,
        writer: Some(run.writer()),
        origin,
        time: whole_second(time),
        version: request.id.version().to_string(),
        host: request.host.clone(),
        fqdn: request.fqdn.clone(),
        tags: filter::check_tags(&request.tags)?,
        sources: done.sources.into_iter().map(named).collect(),
        entries: counts.kinds.iter().map(|(k, n)| (k.name().to_owned(), *n)).collect(),
        files: counts.kinds.get(&Kind::File).copied().unwrap_or(0),
        bytes: counts.bytes,
        added_bytes: done.added + manifest.size,
        errors: counts.errors,
        warnings: counts.warnings,
        downgraded: counts.downgraded,
        excluded: counts.excluded.iter().sum(),
        duration_ms: u64::try_from(begun.watch.elapsed().as_millis()).unwrap_or(u64::MAX),
        manifest,
    };
    run.stop.check()?;
    if let Some(why) = run.keys.certificate.forbids(&summary) {
        let text = format!("{why}: nobody would count this backup");
        return Err(Error::new(&codes::SOURCE_INVALID, text));
    }
    begun.check_age()?;
    // If this fails, the summary may be stored nevertheless.
    lock.stay();
    match slot::publish(store, &run.trust, &mut summary, &run.signer) {
        Err(e) if e.is(&codes::BACKUP_EXISTS) || e.is(&codes::BACKUP_ABORTED) => {
            lock.may_go();
            return Err(e);
        }
        published => published?,
    }
    pending.into_iter().for_each(unfinished::Pending::take_back);
    seen.add(&summary);
    seen.save();
    if let Some(cache) = done.cache {
        // The backup is complete; losing the cache costs time only.
        if let Err(e) = cache.publish() {
            run.progress.warn(format!("the next backup will be slower: {e}"));
        }
    }
    Ok(summary)
}

/// Start of a backup. The monotonic clock stops while the machine sleeps.
pub(super) struct Begun {
    watch: Instant,
    clock: SystemTime,
}

impl Begun {
    pub(super) fn now() -> Self {
        Self { watch: Instant::now(), clock: SystemTime::now() }
    }

    /// The maximum duration of a backup. A prune keeps the tombstones of dead backups for much longer.
    const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

    fn check_age(&self) -> Result<()> {
        let age = self.clock.elapsed().unwrap_or_default().max(self.watch.elapsed());
        if age < Self::LONGEST {
            return Ok(());
        }
        let text = format!("the backup began {} days ago", age.as_secs() / 86400);
        Err(Error::new(&codes::BACKUP_ABORTED, text))
    }
}
