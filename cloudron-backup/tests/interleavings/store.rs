//! A store in memory in which every call waits for its turn.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{BackupStore, ObjectMeta};
use cloudron_core::{Error, Result};

use crate::common::sim::{Rng, SimStore};

/// The actor that may make the next call.
#[derive(Default)]
struct Turns {
    turn: Option<usize>,
    actors: Vec<Actor>,
}

#[derive(Default, Clone)]
pub struct Actor {
    over: bool,
    dead: bool,
    /// The number of the call at which it dies.
    dies_in: Option<u64>,
}

/// Allows one call at a time, in an order chosen by the seed.
#[derive(Clone)]
pub struct Scheduler {
    turns: Arc<(Mutex<Turns>, Condvar)>,
}

impl Scheduler {
    pub fn new(actors: usize) -> Self {
        let turns = Turns { turn: None, actors: vec![Actor::default(); actors] };
        Self { turns: Arc::new((Mutex::new(turns), Condvar::new())) }
    }

    /// Starts the actor, which lives for this number of calls.
    pub fn live(&self, actor: usize, calls: Option<u64>) {
        let mut turns = self.turns.0.lock().unwrap();
        (turns.actors[actor].dead, turns.actors[actor].dies_in) = (false, calls);
    }

    pub fn over(&self, actor: usize) {
        self.turns.0.lock().unwrap().actors[actor].over = true;
        self.turns.1.notify_all();
    }

    /// Gives turns until all actors have finished.
    pub fn run(&self, rng: &mut Rng, mut between: impl FnMut(&mut Rng)) {
        // Sometimes one actor runs alone for a while.
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

    /// Makes a call when it is the actor's turn. A call at which the actor dies may or may not have its effect.
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

/// The store as seen by one actor.
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
            store.write(key, Some(content.clone()));
            Ok(())
        })
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.call(|store| Ok(store.write_new(key, content.clone())))
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
        self.call(|store| Ok(store.head(key)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.call(|store| Ok(store.list(prefix)))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.call(|store| {
            store.write(key, None);
            Ok(())
        })
    }
}
