//! Locks: that a backup, a prune or a repair is under way.
//!
//! A backup puts its lock before it looks at what is stored, and keeps it until its summary can be seen in a
//! list. So whoever lists the locks and then the summaries misses no backup that relies on what was there.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Result};
use serde::{Deserialize, Serialize};

use crate::bridge::Blocking;
use crate::repository::config::whole_second;
use crate::{codes, layout};

/// A lock that was not refreshed for so long is that of something dead, or asleep.
pub(crate) const EXPIRY: Duration = Duration::from_secs(30 * 60);
/// No lock lives longer than this without being refreshed, whatever is in it.
const LONGEST_EXPIRY: Duration = Duration::from_secs(24 * 3600);
/// A lock is refreshed so often while its owner works.
pub(crate) const REFRESH: Duration = Duration::from_secs(5 * 60);
/// Moments that are closer than this are not told apart: clocks of stores are coarse, and their lists late.
pub(crate) const MARGIN: Duration = Duration::from_secs(10 * 60);

/// What a lock object holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Content {
    lock: u32,
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    host: String,
    /// When the owner began, by its own clock: for people.
    started: jiff::Timestamp,
    /// For how many seconds after it was written the lock counts.
    expiry: u64,
    /// When the lock was first written, by the store's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<jiff::Timestamp>,
}

impl Content {
    fn new(name: &str, host: &str) -> Self {
        let started = whole_second(jiff::Timestamp::now());
        let (id, host, expiry) = (name.to_owned(), host.to_owned(), EXPIRY.as_secs());
        Self { lock: 1, id, host, started, expiry, since: None }
    }

    fn object(&self) -> bytes::Bytes {
        let mut text = serde_json::to_vec_pretty(self).expect("a lock is plain JSON");
        text.push(b'\n');
        text.into()
    }
}

/// The key and the content of a lock that its owner puts and refreshes itself.
pub(crate) fn object(name: &str) -> (String, bytes::Bytes) {
    (layout::lock(name), Content::new(name, "").object())
}

/// A lock of our own, refreshed by a thread until it is let go of. Dropping it deletes it.
#[derive(Debug)]
pub(crate) struct Lock {
    store: Blocking,
    key: String,
    refresher: Option<(SyncSender<()>, JoinHandle<()>)>,
    /// Whether it stays in the store: then a prune finds out what became of its owner.
    stays: bool,
}

impl Lock {
    /// Puts a lock. Nothing when there is one of that name.
    pub(crate) fn take(store: &Blocking, name: &str, host: &str) -> Result<Option<Self>> {
        let content = Content::new(name, host);
        let key = layout::lock(name);
        if !store.put_new(&key, &content.object())? {
            return Ok(None);
        }
        let (stop, stopped) = sync_channel(1);
        let (theirs, their_key) = (store.clone(), key.clone());
        let thread = std::thread::spawn(move || {
            let mut content = content;
            while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
                refresh(&theirs, &their_key, &mut content);
            }
        });
        Ok(Some(Self { store: store.clone(), key, refresher: Some((stop, thread)), stays: false }))
    }

    /// The store's time: when the lock was last written, having been written just now.
    pub(crate) fn store_time(&self) -> Result<SystemTime> {
        let content = self.store.get(&self.key)?;
        self.store.put(&self.key, &content)?;
        let modified = self.store.head(&self.key)?.and_then(|o| o.modified);
        Ok(modified.unwrap_or_else(SystemTime::now))
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// From here on the lock stays when its owner fails: what it is doing may have taken effect all the same.
    pub(crate) fn stay(&mut self) {
        self.stays = true;
    }

    /// It is certain what became of what its owner did.
    pub(crate) fn may_go(&mut self) {
        self.stays = false;
    }

    /// Lets go of the lock of a backup that is made, once its summary shows in the store's list.
    pub(crate) fn release(mut self, backup: &BackupId) {
        let summary = layout::summary(backup);
        let listed = self.store.list(&summary).is_ok_and(|found| found.iter().any(|o| o.key == summary));
        self.stays = !listed;
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.refresher.take() {
            drop(stop);
            let _ = thread.join();
        }
        if !self.stays {
            // Some stores do not let a writer delete. The lock expires, and a prune removes it.
            let _ = self.store.delete(&self.key);
        }
    }
}

/// A failure to refresh is not one of the backup: at worst a prune declares it dead, and it fails then.
fn refresh(store: &Blocking, key: &str, content: &mut Content) {
    if content.since.is_none() {
        let written = store.head(key).ok().flatten().and_then(|o| o.modified);
        content.since = written.and_then(|t| jiff::Timestamp::try_from(t).ok());
    }
    if let Err(e) = store.put(key, &content.object()) {
        tracing::debug!("{key} was not refreshed: {e}");
    }
}

/// A lock that was found in the store.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: String,
    /// The backup, or the name of a prune or a repair.
    pub(crate) name: String,
    modified: Option<SystemTime>,
    content: Option<Content>,
}

/// The locks in the store.
pub(crate) fn list(store: &Blocking) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for object in store.list(layout::LOCKS)? {
        let name = object.key.strip_prefix(layout::LOCKS).and_then(|n| n.strip_suffix(".json"));
        let Some(name) = name.map(str::to_owned) else { continue };
        let content = match store.get(&object.key) {
            Ok(content) => serde_json::from_slice(&content).ok(),
            // It was let go of since it was listed.
            Err(e) if e.is(&codes::OBJECT_MISSING) => continue,
            Err(e) => return Err(e),
        };
        found.push(Found { key: object.key, name, modified: object.modified, content });
    }
    Ok(found)
}

impl Found {
    /// The backup that it is of.
    pub(crate) fn backup(&self) -> Option<BackupId> {
        self.name.parse().ok()
    }

    /// How long ago it was refreshed. Nothing where the store does not tell.
    pub(crate) fn age(&self, now: SystemTime) -> Option<Duration> {
        self.modified.map(|m| now.duration_since(m).unwrap_or_default())
    }

    /// Whether its owner may be at work. A lock of unknown age counts.
    pub(crate) fn is_live(&self, now: SystemTime) -> bool {
        let expiry = self.content.as_ref().map_or(EXPIRY, |c| Duration::from_secs(c.expiry));
        self.age(now).is_none_or(|age| age <= expiry.min(LONGEST_EXPIRY))
    }

    /// When it was first written at the latest, by the store's clock. Nothing where that is unknown.
    pub(crate) fn since(&self) -> Option<SystemTime> {
        let since = self.content.as_ref().and_then(|c| c.since);
        since.and_then(|t| SystemTime::try_from(t).ok()).or(self.modified)
    }

    /// Whether it may be of a backup that looked at the store before that moment.
    pub(crate) fn may_precede(&self, moment: Option<SystemTime>) -> bool {
        match (self.since(), moment) {
            (Some(since), Some(moment)) => since <= moment + MARGIN,
            _ => true,
        }
    }
}
