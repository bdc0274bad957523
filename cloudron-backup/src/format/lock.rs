//! Locks: objects that show that a backup, a prune or a repair is running.
//!
//! A backup writes its lock before it reads the list of stored packs, and keeps it until its summary is
//! listed. So a process that lists the locks first and the summaries afterwards sees every backup that relies
//! on existing packs.

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

/// The time without a refresh after which the owner of a lock is considered dead or asleep.
pub(crate) const EXPIRY: Duration = Duration::from_secs(30 * 60);
/// The maximum lifetime of a lock without a refresh, whatever its content says.
const LONGEST_EXPIRY: Duration = Duration::from_secs(24 * 3600);
/// The interval at which a running owner refreshes its lock.
pub(crate) const REFRESH: Duration = Duration::from_secs(5 * 60);
/// The tolerance when comparing times: clocks of stores are coarse, and listings may be delayed.
pub(crate) const MARGIN: Duration = Duration::from_secs(10 * 60);

/// The content of a lock object.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Content {
    lock: u32,
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    host: String,
    /// Start by the owner's own clock: for people.
    started: jiff::Timestamp,
    /// Seconds for which the lock is valid after it was written.
    expiry: u64,
    /// Time of the first write, by the store's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<jiff::Timestamp>,
    /// Time of the previous write, by the store's clock. It determines whether the lock of a prune or a
    /// repair is valid, so that an old lock that was put back is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refreshed: Option<jiff::Timestamp>,
}

/// The start of the signed text.
const SIGNED: &[u8] = b"cloudron-backup lock v2\n";
/// The prefix of the lock of a copy of a repository, which is made without any key.
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

/// Returns the key and the content of the lock of a copy, which the copying process writes and refreshes itself.
pub(crate) fn of_copy() -> (String, bytes::Bytes) {
    let name = format!("{COPY}{}", hex::encode(cloudron_core::random::bytes::<8>()));
    let text = serde_json::to_vec_pretty(&Content::new(&name, "")).expect("a lock is plain JSON");
    (layout::lock(&name), text.into())
}

/// A lock held by this process, refreshed by a thread until it is released. Dropping it deletes it.
#[derive(Debug)]
pub(crate) struct Lock {
    store: Blocking,
    key: String,
    signer: Signer,
    content: Arc<Mutex<Content>>,
    refresher: Option<(SyncSender<()>, JoinHandle<()>)>,
    /// True if it stays in the store: then a prune determines the state of its owner.
    stays: bool,
}

impl Lock {
    /// Writes the lock of a backup, or of a `prune` or a `repair`. Its name has a random ending, so that
    /// nobody can occupy it in advance.
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

    /// Returns the store's time: the time of the lock's last write, which has just happened.
    ///
    /// # Errors
    /// Errors of the store; `object-missing` when the lock was removed.
    pub(crate) fn store_time(&self) -> Result<SystemTime> {
        if self.store.head(&self.key)?.is_none() {
            let text = format!("{} was taken away: another prune took this one for dead", self.key);
            return Err(Error::new(&codes::OBJECT_MISSING, text));
        }
        write(&self.store, &self.key, &self.content, &self.signer)?;
        let modified = self.store.head(&self.key)?.and_then(|o| o.modified);
        // Writes it again, with the store's time of the first write.
        note(&self.content, modified);
        write(&self.store, &self.key, &self.content, &self.signer)?;
        Ok(modified.unwrap_or_else(SystemTime::now))
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Keeps the lock from now on if the owner fails: its last action may have taken effect nevertheless.
    pub(crate) fn stay(&mut self) {
        self.stays = true;
    }

    /// Allows removing the lock again: the result of the owner's last action is known.
    pub(crate) fn may_go(&mut self) {
        self.stays = false;
    }

    /// Releases the lock of a completed backup, once its summary is in the store's list.
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
            // Some stores do not allow a writer to delete. Then the lock expires, and a prune removes it.
            let _ = self.store.delete(&self.key);
        }
    }
}

/// Refreshes the lock. Errors are ignored: at worst a prune declares the backup dead, and it fails then.
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

/// Records the time when the lock was written.
fn note(content: &Mutex<Content>, written: Option<SystemTime>) {
    let written = written.and_then(|t| jiff::Timestamp::try_from(t).ok());
    let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
    content.since = content.since.or(written);
    content.refreshed = written.or(content.refreshed);
}

/// The holder of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The backup of a writer.
    Backup(BackupId, WriterId),
    /// A prune or a repair.
    Owner,
    /// A copy of a repository into this one, which is made without any key. Anybody can write such a lock.
    Copy,
}

/// A lock in the store.
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
    /// Objects that are no locks, or without a valid signature.
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
            // It was released since it was listed.
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
    // A lock copied to another name is not valid.
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
    /// Returns the time since the last refresh, or `None` if the store does not report it.
    pub(crate) fn age(&self, now: SystemTime) -> Option<Duration> {
        self.modified.map(|m| now.duration_since(m).unwrap_or_default())
    }

    /// Checks whether its owner may be running. A lock of unknown age counts as live.
    pub(crate) fn is_live(&self, now: SystemTime) -> bool {
        let expiry = Duration::from_secs(self.content.expiry).min(LONGEST_EXPIRY);
        let is_fresh = self.age(now).is_none_or(|age| age <= expiry);
        is_fresh && (self.holder != Holder::Owner || self.was_written_before(now, expiry))
    }

    /// Checks that the signed time agrees with the store's time.
    fn was_written_before(&self, now: SystemTime, expiry: Duration) -> bool {
        let refreshed = self.content.refreshed.and_then(|t| SystemTime::try_from(t).ok());
        // A store without times cannot be checked.
        self.modified.is_none()
            || refreshed.is_some_and(|t| now.duration_since(t).unwrap_or_default() <= expiry + REFRESH)
    }

    /// Returns the latest possible time of its first write, by the store's clock, or `None` if unknown.
    pub(crate) fn since(&self) -> Option<SystemTime> {
        let since = self.content.since;
        since.and_then(|t| SystemTime::try_from(t).ok()).or(self.modified)
    }

    /// Checks whether it may belong to a backup that read the store before that time.
    pub(crate) fn may_precede(&self, moment: Option<SystemTime>) -> bool {
        match (self.since(), moment) {
            (Some(since), Some(moment)) => since <= moment + MARGIN,
            _ => true,
        }
    }
}
