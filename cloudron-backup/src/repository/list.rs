//! Lists the backups of a repository from their clear-text summaries.

use cloudron_core::{BackupId, Error, Result, ResultExt};

use super::Repository;
use crate::cache::history::of_store;
use crate::cache::summaries::SummaryCache;
use crate::codes;
use crate::format::forgotten::Forgotten;
use crate::format::summary::{Summary, is_about_the_object};
use crate::format::trust::{Anchor, Trust};
use crate::layout::{self, summary_name};
use crate::runtime::blocking;
use crate::snapshot::SnapshotList;
use crate::store::get_all;

impl Repository {
    /// Lists the backups, oldest first, from their clear-text summaries. Needs no key: signatures are checked
    /// with the owner's key in the description. With a [cache folder](Self::with_cache_dir), only new
    /// summaries are read from the store.
    ///
    /// # Errors
    /// Errors of the store. A summary that cannot be read is listed as unreadable instead.
    pub async fn snapshots(&self) -> Result<SnapshotList> {
        let mut list = SnapshotList::default();
        let trust = self.trust().await?;
        let forgotten = Forgotten::read(&self.store, &trust).await?;
        for (key, read) in self.read_summaries(&trust).await? {
            match read {
                Ok(summary) if forgotten.has(&summary) => {
                    let text = "a prune removed it, and it counts no longer";
                    list.unreadable.push((key, Error::new(&codes::SNAPSHOT_FORGED, text)));
                }
                Ok(summary) => list.summaries.push(summary),
                // It was deleted since it was listed, or belongs to no backup.
                Err(e) if e.is(&codes::OBJECT_MISSING) || e.is(&codes::BACKUP_ABORTED) => {}
                Err(e) if is_about_the_object(&e) => list.unreadable.push((key, e)),
                Err(e) => return Err(e),
            }
        }
        list.summaries.sort_by(|a, b| a.id.cmp(&b.id));
        list.unreadable.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(list)
    }

    /// Finds one backup by its id. `latest` is the newest by sequence number, because clocks may be wrong;
    /// backups copied from different repositories are compared by time.
    ///
    /// # Errors
    /// `backup-unknown`; `snapshot-corrupt` when its summary cannot be read.
    pub async fn find(&self, id: &str) -> Result<Summary> {
        let unknown = |text: String| Error::new(&codes::BACKUP_UNKNOWN, text);
        if id == "latest" {
            let list = self.snapshots().await?;
            let none = || unknown(format!("there is no backup in {}", self.store.url()));
            return list.latest().cloned().ok_or_else(none);
        }
        let missing = || unknown(format!("there is no backup {id} in {}", self.store.url()));
        let parsed: BackupId = id.parse().map_err(|_| missing())?;
        let read = self.store.get_range(&layout::summary(&parsed), 0..layout::MOST_JSON).await;
        let trust = self.trust().await?;
        match read.and_then(|content| trust.summary(parsed.as_str(), &content)) {
            Err(e) if e.is(&codes::OBJECT_MISSING) || e.is(&codes::BACKUP_ABORTED) => Err(missing()),
            other => other.doing(|| format!("reading the summary of {parsed}")),
        }
    }

    /// Returns the trusted keys, as far as the description names them.
    pub(super) async fn trust(&self) -> Result<Trust> {
        Trust::read(&self.store, &self.config, Anchor::Description).await
    }

    /// Returns the summaries by key, from the cache if they were read before.
    async fn read_summaries(&self, trust: &Trust) -> Result<Vec<(String, Result<Summary>)>> {
        let mut objects = self.store.list(layout::SNAPSHOTS).await?;
        objects.retain(|o| summary_name(&o.key).is_some());
        let id = self.config.id.clone();
        let dir = self.cache_dir.as_ref().map(|dir| of_store(&dir.join(&id), &self.store.url()));
        let (mut kept, new) =
            blocking(move || Ok(SummaryCache::load(dir.as_deref(), &id).split(objects))).await?;
        let known = kept.contents().map(|(key, content)| (key.to_owned(), parse(trust, key, content)));
        let mut read: Vec<_> = known.collect();
        for (object, content) in get_all(&self.store, new, layout::MOST_JSON).await? {
            let summary = content.and_then(|content| {
                kept.add(&object, &content);
                parse(trust, &object.key, &content)
            });
            read.push((object.key, summary));
        }
        blocking(move || {
            kept.save();
            Ok(())
        })
        .await?;
        Ok(read)
    }
}

fn parse(trust: &Trust, key: &str, content: &[u8]) -> Result<Summary> {
    trust.summary(summary_name(key).unwrap_or_default(), content).doing(|| format!("reading {key}"))
}
