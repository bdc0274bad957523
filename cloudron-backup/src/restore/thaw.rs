//! Requests objects from an archive before a restore reads them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cloudron_core::{BackupId, Error, Result, Unit};

use super::Restore;
use crate::format::index::Index;
use crate::format::manifest::Extent;
use crate::restore::RestoreRequest;
use crate::snapshot::Session;
use crate::store::Thaw;
use crate::{codes, layout};

/// The packs to request.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Which {
    /// Packs that the listing reports as archived.
    Listed,
    /// All needed packs. Some classes archive objects without reporting it in the listing.
    Needed,
}

/// Requests archived objects.
pub(super) struct Ask<'a> {
    pub(super) session: Session<'a>,
    pub(super) request: &'a RestoreRequest,
}

impl Ask<'_> {
    /// Requests the objects that determine which packs are needed: the manifest and the index.
    pub(super) fn first_objects(&self, id: &BackupId) -> Result<()> {
        let store = self.session.store;
        let mut keys = vec![layout::summary(id), layout::first_manifest(id)];
        let index = store.list(layout::INDEX)?;
        // The summary names the manifest, and may be archived itself.
        let manifests = store.list(layout::SNAPSHOTS)?.into_iter().filter(|o| layout::is_hash_age(&o.key));
        keys.extend(index.into_iter().chain(manifests).filter(|o| o.archived).map(|o| o.key));
        self.for_all(keys)
    }

    /// Requests packs with content to restore.
    pub(super) fn packs(&self, restore: &Restore<'_>, index: &Index, which: Which) -> Result<()> {
        if which == Which::Listed && index.archived.is_empty() {
            return Ok(());
        }
        let mut needed = BTreeSet::new();
        let mut entries = restore.backup.entries()?;
        while let Some(entry) = entries.next()? {
            self.session.stop.check()?;
            if !restore.places.wants(&entry.path()) {
                continue;
            }
            for extent in &entry.extents {
                if let Extent::Data { chunk, .. } = extent
                    && let Some(location) = index.get(chunk)
                {
                    needed.insert(location.pack);
                }
            }
        }
        let packs = needed.into_iter().filter_map(|n| index.packs.get(n as usize));
        let keys = packs.map(|(pack, _)| layout::pack(pack));
        self.for_all(keys.filter(|key| which == Which::Needed || index.archived.contains(key)).collect())
    }

    /// Requests all objects, and waits as long as the request says.
    ///
    /// # Errors
    /// `object-archived` when some cannot be read yet.
    fn for_all(&self, keys: Vec<String>) -> Result<()> {
        let count = keys.len();
        let mut left = self.still_archived(keys)?;
        if left.is_empty() {
            return Ok(());
        }
        let (start, longest) = (Instant::now(), self.request.thaw_wait.unwrap_or_default());
        let task = self.session.progress.task("Waiting for the archive", Unit::Items, Some(count as u64));
        task.advance((count - left.len()) as u64);
        let pause = (longest / 100).clamp(Duration::from_millis(20), Duration::from_secs(300));
        while !left.is_empty() && start.elapsed() < longest {
            self.pause(pause)?;
            let before = left.len();
            left = self.still_archived(left)?;
            task.advance((before - left.len()) as u64);
        }
        task.finish();
        match left.len() {
            0 => Ok(()),
            waiting => Err(self.come_back(waiting)),
        }
    }

    fn still_archived(&self, keys: Vec<String>) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for key in keys {
            self.session.stop.check()?;
            match self.session.store.thaw(&key, self.request.thaw_days) {
                Ok(Thaw::Ready) => {}
                Ok(Thaw::Underway) => left.push(key),
                // The restore reports what is missing because of it.
                Err(e) if e.is(&codes::OBJECT_MISSING) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(left)
    }

    fn pause(&self, length: Duration) -> Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.session.stop.check()?;
            std::thread::sleep(Duration::from_millis(200).min(length));
        }
        Ok(())
    }

    fn come_back(&self, waiting: usize) -> Error {
        let text = format!(
            "{waiting} objects that the backup needs are in an archive of {} and were asked for",
            self.session.store.url()
        );
        Error::new(&codes::OBJECT_ARCHIVED, text).retryable(true).with_hint(format!(
            "run the same restore again in some hours (the cheapest way takes two days); what was asked for can \
             be read for {} days",
            self.request.thaw_days
        ))
    }
}
