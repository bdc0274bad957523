//! A store in memory with a simulated clock and a complete history.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cloudron_backup::{ObjectMeta, codes};
use cloudron_core::{Error, Result};

/// Random numbers from a seed.
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A change of an object: written, or deleted. Listings show it from a certain second on.
struct Change {
    content: Option<Bytes>,
    at: u64,
    listed_from: u64,
}

struct Objects {
    /// The initial time of the clock, in seconds since 1970.
    epoch: u64,
    changes: BTreeMap<String, Vec<Change>>,
    /// The simulated time, in seconds since the start.
    now: u64,
    /// The maximum delay of listings, in seconds.
    late: u64,
    rng: Rng,
}

/// The objects, without turns.
#[derive(Clone)]
pub struct SimStore(Arc<Mutex<Objects>>);

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

impl Objects {
    fn time(&self, second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch + second)
    }
}

impl SimStore {
    /// Creates a store whose clock starts in 2030.
    pub fn new(seed: u64, late: u64) -> Self {
        Self::since(1_900_000_000, seed, late)
    }

    /// Creates a store whose clock starts at this time.
    pub fn since(epoch: u64, seed: u64, late: u64) -> Self {
        let objects = Objects { epoch, changes: BTreeMap::new(), now: 0, late, rng: Rng(seed) };
        Self(Arc::new(Mutex::new(objects)))
    }

    /// Locks the objects. Each access takes a simulated second.
    fn objects(&self) -> MutexGuard<'_, Objects> {
        let mut objects = self.0.lock().unwrap();
        objects.now += 1;
        objects
    }

    pub fn pass(&self, seconds: u64) {
        self.objects().now += seconds;
    }

    pub fn now(&self) -> SystemTime {
        let objects = self.objects();
        objects.time(objects.now)
    }

    fn change(objects: &mut Objects, key: &str, content: Option<Bytes>) {
        let lag = if objects.late == 0 { 0 } else { objects.rng.below(objects.late) };
        let (at, listed_from) = (objects.now, objects.now + lag);
        objects.changes.entry(key.to_owned()).or_default().push(Change { content, at, listed_from });
    }

    /// Writes an object, or deletes it.
    pub fn write(&self, key: &str, content: Option<Bytes>) {
        Self::change(&mut self.objects(), key, content);
    }

    /// Writes an object unless it exists.
    pub fn write_new(&self, key: &str, content: Bytes) -> bool {
        let mut objects = self.objects();
        if objects.changes.get(key).and_then(|c| c.last()).is_some_and(|c| c.content.is_some()) {
            return false;
        }
        Self::change(&mut objects, key, Some(content));
        true
    }

    pub fn get(&self, key: &str) -> Result<Bytes> {
        let objects = self.objects();
        let last = objects.changes.get(key).and_then(|c| c.last());
        let content = last.and_then(|c| c.content.clone());
        content.ok_or_else(|| Error::new(&codes::OBJECT_MISSING, format!("{key} is not in sim:")))
    }

    pub fn head(&self, key: &str) -> Option<ObjectMeta> {
        let objects = self.objects();
        let last = objects.changes.get(key)?.last()?;
        let meta = ObjectMeta::new(key, last.content.as_ref()?.len() as u64);
        Some(meta.modified(objects.time(last.at)))
    }

    pub fn list(&self, prefix: &str) -> Vec<ObjectMeta> {
        let objects = self.objects();
        let shown =
            objects.changes.iter().filter(|(key, _)| key.starts_with(prefix)).filter_map(|(key, c)| {
                let seen = c.iter().rfind(|c| c.listed_from <= objects.now)?;
                let meta = ObjectMeta::new(key.clone(), seen.content.as_ref()?.len() as u64);
                Some(meta.modified(objects.time(seen.at)))
            });
        shown.collect()
    }

    /// Returns everything that was ever written, in the order of keys.
    pub fn history(&self) -> Vec<(String, Bytes)> {
        let objects = self.0.lock().unwrap();
        let written = objects.changes.iter().flat_map(|(key, c)| c.iter().map(move |c| (key, &c.content)));
        written.filter_map(|(key, content)| Some((key.clone(), content.clone()?))).collect()
    }
}
