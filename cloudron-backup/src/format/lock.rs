//! Locks: that a backup, a prune or a repair is under way.
//!
//! A backup puts its lock before it looks at what is stored, and keeps it until its summary can be seen in a
//! list. So whoever lists the locks and then the summaries misses no backup that relies on what was there.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Error, Result};
use serde::{Deserialize, Serialize};

use crate::format::config::whole_second;
use crate::format::trust::{Source, Trust};
use crate::keys::{Signer, WriterId};
use crate::store::blocking::Blocking;
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
    /// When it was written before it was written last, by the store's clock. The lock of a prune or a repair counts by
    /// this: an old one that somebody puts back is an old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refreshed: Option<jiff::Timestamp>,
}

/// The start of the signed text.
const SIGNED: &[u8] = b"cloudron-backup lock v2\n";
/// How the lock of a copy of a repository starts, which is made without any key.
pub(crate) const COPY: &str = "copy-";

impl Content {
    fn new(name: &str, host: &str) -> Self {
        let started = whole_second(jiff::Timestamp::now());
        let (id, host, expiry) = (name.to_owned(), host.to_owned(), EXPIRY.as_secs());
        Self { lock: 2, id, host, started, expiry, since: None, refreshed: None }
    }

    fn object(&self, signer: &Signer) -> bytes::Bytes {
        signer.sign(self, SIGNED).into()
    }
}

/// The key and the content of the lock of a copy, which its owner puts and refreshes itself.
pub(crate) fn of_copy() -> (String, bytes::Bytes) {
    let name = format!("{COPY}{}", hex::encode(cloudron_core::random::bytes::<8>()));
    let text = serde_json::to_vec_pretty(&Content::new(&name, "")).expect("a lock is plain JSON");
    (layout::lock(&name), text.into())
}

/// A lock of our own, refreshed by a thread until it is let go of. Dropping it deletes it.
#[derive(Debug)]
pub(crate) struct Lock {
    store: Blocking,
    key: String,
    signer: Signer,
    content: Arc<Mutex<Content>>,
    refresher: Option<(SyncSender<()>, JoinHandle<()>)>,
    /// Whether it stays in the store: then a prune finds out what became of its owner.
    stays: bool,
}

impl Lock {
    /// Puts the lock of a backup, or of a `prune` or a `repair`. Its name ends at random: nobody can put
    /// something in its place before.
    pub(crate) fn take(store: &Blocking, id: &str, host: &str, signer: &Signer) -> Result<Self> {
        let content = Content::new(id, host);
        let key = layout::lock(&format!("{id}-{}", hex::encode(cloudron_core::random::bytes::<8>())));
        store.put(&key, &content.object(signer))?;
        let (stop, stopped) = sync_channel(1);
        let (theirs, their_key, signer) = (store.clone(), key.clone(), signer.clone());
        let content = Arc::new(Mutex::new(content));
        let (their_content, their_signer) = (content.clone(), signer.clone());
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
                refresh(&theirs, &their_key, &their_content, &their_signer);
            }
        });
        let (store, refresher) = (store.clone(), Some((stop, thread)));
        Ok(Self { store, key, signer, content, refresher, stays: false })
    }

    /// The store's time: when the lock was last written, having been written just now.
    ///
    /// # Errors
    /// Errors of the store; `interrupted` when somebody took the lock away.
    pub(crate) fn store_time(&self) -> Result<SystemTime> {
        if self.store.head(&self.key)?.is_none() {
            let text = format!("{} was taken away: another prune took this one for dead", self.key);
            return Err(Error::new(&codes::OBJECT_MISSING, text));
        }
        write(&self.store, &self.key, &self.content, &self.signer)?;
        let modified = self.store.head(&self.key)?.and_then(|o| o.modified);
        // Once more, with what the store says of its time.
        note(&self.content, modified);
        write(&self.store, &self.key, &self.content, &self.signer)?;
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
fn refresh(store: &Blocking, key: &str, content: &Mutex<Content>, signer: &Signer) {
    note(content, store.head(key).ok().flatten().and_then(|o| o.modified));
    if let Err(e) = write(store, key, content, signer) {
        tracing::debug!("{key} was not refreshed: {e}");
    }
}

fn write(store: &Blocking, key: &str, content: &Mutex<Content>, signer: &Signer) -> Result<()> {
    let object = content.lock().unwrap_or_else(PoisonError::into_inner).object(signer);
    store.put(key, &object)
}

/// Notes when the lock was written.
fn note(content: &Mutex<Content>, written: Option<SystemTime>) {
    let written = written.and_then(|t| jiff::Timestamp::try_from(t).ok());
    let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
    content.since = content.since.or(written);
    content.refreshed = written.or(content.refreshed);
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The backup of a writer.
    Backup(BackupId, WriterId),
    /// A prune or a repair.
    Owner,
    /// A copy of a repository into this one, which is made without any key. Anybody could have put its lock.
    Copy,
}

/// A lock that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: String,
    /// The backup, or the name of a prune, a repair or a copy.
    pub(crate) name: String,
    pub(crate) holder: Holder,
    modified: Option<SystemTime>,
    content: Content,
}

/// The locks in the store.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    pub(crate) found: Vec<Found>,
    /// Objects that are none, or that nobody signed who may hold one.
    pub(crate) foreign: Vec<String>,
}

/// Reads the locks in the store.
///
/// # Errors
/// Errors of the store.
pub(crate) fn list(store: &Blocking, trust: &Trust) -> Result<Locks> {
    let mut locks = Locks::default();
    for object in store.list(layout::LOCKS)? {
        if object.size > layout::MOST_SMALL {
            locks.foreign.push(object.key);
            continue;
        }
        let content = match store.get_at_most(&object.key, layout::MOST_SMALL) {
            Ok(content) => content,
            // It was let go of since it was listed.
            Err(e) if e.is(&codes::OBJECT_MISSING) => continue,
            Err(e) if e.is(&codes::OBJECT_CORRUPT) => bytes::Bytes::new(),
            Err(e) => return Err(e),
        };
        match read(&object.key, &content, trust) {
            Some((holder, content)) => {
                let name = content.id.clone();
                locks.found.push(Found { key: object.key, name, holder, modified: object.modified, content });
            }
            None => locks.foreign.push(object.key),
        }
    }
    Ok(locks)
}

fn read(key: &str, content: &[u8], trust: &Trust) -> Option<(Holder, Content)> {
    let value: serde_json::Value = serde_json::from_slice(content).ok()?;
    let found: Content = serde_json::from_value(value.clone()).ok()?;
    let name = key.strip_prefix(layout::LOCKS)?.strip_suffix(".json")?;
    if found.id.starts_with(COPY) {
        return (name == found.id).then_some((Holder::Copy, found));
    }
    // A lock that was put back under another name is none.
    let ending = name.strip_prefix(&found.id)?.strip_prefix('-')?;
    if ending.len() != 16 {
        return None;
    }
    let holder = match trust.source(&value, SIGNED)? {
        Source::Owner => Holder::Owner,
        Source::Writer(writer) if !trust.is_revoked(&writer) => {
            Holder::Backup(found.id.parse().ok()?, writer)
        }
        _ => return None,
    };
    Some((holder, found))
}

impl Found {
    /// How long ago it was refreshed. Nothing where the store does not tell.
    pub(crate) fn age(&self, now: SystemTime) -> Option<Duration> {
        self.modified.map(|m| now.duration_since(m).unwrap_or_default())
    }

    /// Whether its owner may be at work. A lock of unknown age counts.
    pub(crate) fn is_live(&self, now: SystemTime) -> bool {
        let expiry = Duration::from_secs(self.content.expiry).min(LONGEST_EXPIRY);
        let is_fresh = self.age(now).is_none_or(|age| age <= expiry);
        is_fresh && (self.holder != Holder::Owner || self.was_written_before(now, expiry))
    }

    /// Whether what is signed says the same of its age as the store does.
    fn was_written_before(&self, now: SystemTime, expiry: Duration) -> bool {
        let refreshed = self.content.refreshed.and_then(|t| SystemTime::try_from(t).ok());
        // A store that tells no times tells nothing here either.
        self.modified.is_none()
            || refreshed.is_some_and(|t| now.duration_since(t).unwrap_or_default() <= expiry + REFRESH)
    }

    /// When it was first written at the latest, by the store's clock. Nothing where that is unknown.
    pub(crate) fn since(&self) -> Option<SystemTime> {
        let since = self.content.since;
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
