//! A store in memory in which every call waits for its turn, with a clock of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{BackupStore, ObjectMeta, codes};
use cloudron_core::{Error, Result};

/// Numbers that look random and are the same for the same seed.
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

/// What happened to an object: written, or deleted. Lists show it from a certain second on.
struct Change {
    content: Option<Bytes>,
    at: u64,
    listed_from: u64,
}

struct Objects {
    changes: BTreeMap<String, Vec<Change>>,
    /// Seconds.
    now: u64,
    /// By how many seconds lists may be late.
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

fn time(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000 + second)
}

impl SimStore {
    pub fn new(seed: u64, late: u64) -> Self {
        let objects = Objects { changes: BTreeMap::new(), now: 0, late, rng: Rng(seed) };
        Self(Arc::new(Mutex::new(objects)))
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        let mut objects = self.0.lock().unwrap();
        objects.now += 1;
        objects
    }

    pub fn pass(&self, seconds: u64) {
        self.objects().now += seconds;
    }

    fn write(objects: &mut Objects, key: &str, content: Option<Bytes>) {
        let lag = if objects.late == 0 { 0 } else { objects.rng.below(objects.late) };
        let (at, listed_from) = (objects.now, objects.now + lag);
        objects.changes.entry(key.to_owned()).or_default().push(Change { content, at, listed_from });
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        let objects = self.objects();
        let last = objects.changes.get(key).and_then(|c| c.last());
        let content = last.and_then(|c| c.content.clone());
        content.ok_or_else(|| Error::new(&codes::OBJECT_MISSING, format!("{key} is not in sim:")))
    }

    fn list(&self, prefix: &str) -> Vec<ObjectMeta> {
        let objects = self.objects();
        let shown =
            objects.changes.iter().filter(|(key, _)| key.starts_with(prefix)).filter_map(|(key, c)| {
                let seen = c.iter().rfind(|c| c.listed_from <= objects.now)?;
                let mut meta = ObjectMeta::new(key.clone(), seen.content.as_ref()?.len() as u64);
                meta.modified = Some(time(seen.at));
                Some(meta)
            });
        shown.collect()
    }
}

/// Who may make the next call.
#[derive(Default)]
struct Turns {
    turn: Option<usize>,
    actors: Vec<Actor>,
}

#[derive(Default, Clone)]
pub struct Actor {
    over: bool,
    dead: bool,
    /// Dies at that call.
    dies_in: Option<u64>,
}

/// Lets one call after another happen, in an order that the seed decides.
#[derive(Clone)]
pub struct Scheduler {
    turns: Arc<(Mutex<Turns>, Condvar)>,
}

impl Scheduler {
    pub fn new(actors: usize) -> Self {
        let turns = Turns { turn: None, actors: vec![Actor::default(); actors] };
        Self { turns: Arc::new((Mutex::new(turns), Condvar::new())) }
    }

    /// From here on the actor lives, until it has made so many calls.
    pub fn live(&self, actor: usize, calls: Option<u64>) {
        let mut turns = self.turns.0.lock().unwrap();
        (turns.actors[actor].dead, turns.actors[actor].dies_in) = (false, calls);
    }

    pub fn over(&self, actor: usize) {
        self.turns.0.lock().unwrap().actors[actor].over = true;
        self.turns.1.notify_all();
    }

    /// Gives turns until all actors are over.
    pub fn run(&self, rng: &mut Rng, mut between: impl FnMut(&mut Rng)) {
        // Now and then one actor goes on alone for a while.
        let (mut favourite, mut left) = (0, 0);
        loop {
            let mut turns = self.turns.0.lock().unwrap();
            let waiting: Vec<usize> = (0..turns.actors.len()).filter(|n| !turns.actors[*n].over).collect();
            if waiting.is_empty() {
                return;
            }
            if left == 0 || !waiting.contains(&favourite) {
                favourite = waiting[rng.below(waiting.len() as u64) as usize];
                left = if rng.once_in(3) { 1 + rng.below(12) } else { 1 };
            }
            left -= 1;
            turns.turn = Some(favourite);
            self.turns.1.notify_all();
            while turns.turn.is_some() && !turns.actors[favourite].over {
                turns = self.turns.1.wait(turns).unwrap();
            }
            turns.turn = None;
            drop(turns);
            between(rng);
        }
    }

    /// Makes a call when it is the actor's turn. One that dies may or may not have had its effect.
    fn call<T>(&self, actor: usize, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let killed = || Error::new(&cloudron_core::codes::IO, "killed").retryable(false);
        let mut turns = self.turns.0.lock().unwrap();
        while turns.turn != Some(actor) && !turns.actors[actor].dead {
            turns = self.turns.1.wait(turns).unwrap();
        }
        if turns.actors[actor].dead {
            return Err(killed());
        }
        let dies = match &mut turns.actors[actor].dies_in {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let result = call();
        turns.actors[actor].dead = dies;
        turns.turn = None;
        self.turns.1.notify_all();
        if dies { Err(killed()) } else { result }
    }
}

/// The store as one actor sees it.
#[derive(Clone)]
pub struct TurnStore {
    pub store: SimStore,
    pub scheduler: Option<(Scheduler, usize)>,
}

impl fmt::Debug for TurnStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnStore")
    }
}

impl TurnStore {
    fn call<T>(&self, call: impl FnOnce(&SimStore) -> Result<T>) -> Result<T> {
        match &self.scheduler {
            Some((scheduler, actor)) => scheduler.call(*actor, || call(&self.store)),
            None => call(&self.store),
        }
    }
}

#[async_trait]
impl BackupStore for TurnStore {
    fn url(&self) -> String {
        "sim:".into()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.call(|store| {
            SimStore::write(&mut store.objects(), key, Some(content.clone()));
            Ok(())
        })
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.call(|store| {
            let mut objects = store.objects();
            if objects.changes.get(key).and_then(|c| c.last()).is_some_and(|c| c.content.is_some()) {
                return Ok(false);
            }
            SimStore::write(&mut objects, key, Some(content.clone()));
            Ok(true)
        })
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        self.call(|store| store.get(key))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let content = self.call(|store| store.get(key))?;
        let end = (range.end as usize).min(content.len());
        Ok(content.slice((range.start as usize).min(end)..end))
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.call(|store| {
            let objects = store.objects();
            let last = objects.changes.get(key).and_then(|c| c.last());
            Ok(last.and_then(|last| {
                let mut meta = ObjectMeta::new(key, last.content.as_ref()?.len() as u64);
                meta.modified = Some(time(last.at));
                Some(meta)
            }))
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.call(|store| Ok(store.list(prefix)))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.call(|store| {
            SimStore::write(&mut store.objects(), key, None);
            Ok(())
        })
    }
}
