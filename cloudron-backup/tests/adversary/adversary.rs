//! The adversary: what it may do, and doing it.

use std::collections::BTreeMap;

use bytes::Bytes;
use cloudron_backup::store::check_key;
use cloudron_testkit::forge::{Forge, Object};

use crate::common::sim::{Rng, SimStore};

/// What the credentials allow, and what keys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Adds objects, has no key.
    Add,
    /// Adds objects, with the keys of one writer.
    AddWithKeys,
    /// Adds and overwrites objects, has no key.
    Overwrite,
}

pub struct Adversary {
    pub rights: Rights,
    pub rng: Rng,
    pub forge: Forge,
    /// Objects of another repository of the same owner, and of one of the first format.
    pub elsewhere: Vec<(String, Bytes)>,
    /// The backups that honest machines are about to make, as their clocks tell.
    pub expected: Vec<String>,
    /// Of the honest objects that were overwritten, what they were.
    pub overwritten: BTreeMap<String, Bytes>,
    /// What it put last, by key.
    pub put: BTreeMap<String, Bytes>,
    /// What was done, for the message of a failure.
    pub done: Vec<String>,
    /// Between two calls of an honest run something is done once in so many times. Never for 0.
    pub once_in: u64,
    /// How many things were done between two calls of an honest run.
    pub during: u64,
}

impl Adversary {
    /// Told that an honest run is about to make a call.
    pub fn between(&mut self, sim: &SimStore) {
        if self.once_in > 0 && self.rng.once_in(self.once_in) {
            self.during += 1;
            self.act(sim);
        }
    }

    /// Does one thing.
    pub fn act(&mut self, sim: &SimStore) {
        let number = self.rng.below(crate::acts::ACTS.len() as u64) as usize;
        let (name, make) = crate::acts::ACTS[number];
        let objects = make(self, sim);
        self.put(sim, name, objects);
    }

    /// Puts objects as far as the credentials allow it.
    fn put(&mut self, sim: &SimStore, what: &str, objects: Vec<(String, Bytes)>) {
        for (key, content) in objects {
            if check_key(&key).is_err() {
                continue;
            }
            let there = sim.get(&key).ok();
            let length = content.len();
            match there {
                None => {
                    self.put.insert(key.clone(), content.clone());
                    sim.write(&key, Some(content));
                    self.done.push(format!("{what}: {key} ({length})"));
                }
                Some(old) if self.rights == Rights::Overwrite && old != content => {
                    // What the adversary itself had put is no loss.
                    if self.put.get(&key) != Some(&old) {
                        self.overwritten.insert(key.clone(), old);
                    }
                    self.put.insert(key.clone(), content.clone());
                    sim.write(&key, Some(content));
                    self.done.push(format!("{what}: {key} ({length}) overwritten"));
                }
                Some(_) => {}
            }
        }
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.rng.below(of.len() as u64) as usize) }
    }
}

/// Objects as a store takes them.
pub fn stored(objects: impl IntoIterator<Item = Object>) -> Vec<(String, Bytes)> {
    objects.into_iter().map(|(key, content)| (key, Bytes::from(content))).collect()
}
