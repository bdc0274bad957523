//! The adversary: its rights and its actions.

use std::collections::BTreeMap;

use bytes::Bytes;
use cloudron_backup::store::check_key;
use cloudron_testkit::forge::{Forge, Object};

use crate::common::sim::{Rng, SimStore};

/// The permissions of the adversary's credentials, and its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// May add objects, has no key.
    Add,
    /// May add objects, has the keys of one writer.
    AddWithKeys,
    /// May add and overwrite objects, has no key.
    Overwrite,
}

pub struct Adversary {
    pub rights: Rights,
    pub rng: Rng,
    pub forge: Forge,
    /// Objects of another repository of the same owner, and of one of the first format.
    pub elsewhere: Vec<(String, Bytes)>,
    /// The ids of the next backups of honest machines, according to their clocks.
    pub expected: Vec<String>,
    /// The previous content of overwritten honest objects.
    pub overwritten: BTreeMap<String, Bytes>,
    /// The last content written by the adversary, by key.
    pub put: BTreeMap<String, Bytes>,
    /// The actions so far, for the message of a failure.
    pub done: Vec<String>,
    /// Acts in one of this number of calls of an honest operation. Never for 0.
    pub once_in: u64,
    /// The number of actions between two calls of an honest operation.
    pub during: u64,
}

impl Adversary {
    /// Acts, with some probability, before a call of an honest operation.
    pub fn between(&mut self, sim: &SimStore) {
        if self.once_in > 0 && self.rng.once_in(self.once_in) {
            self.during += 1;
            self.act(sim);
        }
    }

    /// Performs one action.
    pub fn act(&mut self, sim: &SimStore) {
        crate::memory::uncounted(|| self.any_act(sim));
    }

    fn any_act(&mut self, sim: &SimStore) {
        let number = self.rng.below(crate::acts::ACTS.len() as u64) as usize;
        let (name, make) = crate::acts::ACTS[number];
        let objects = make(self, sim);
        self.put(sim, name, objects);
    }

    /// Writes objects as far as the credentials allow it.
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
                    // Overwriting the adversary's own objects is no loss.
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

    /// Picks a random item.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.rng.below(of.len() as u64) as usize) }
    }
}

/// Converts objects to the store's format.
pub fn stored(objects: impl IntoIterator<Item = Object>) -> Vec<(String, Bytes)> {
    objects.into_iter().map(|(key, content)| (key, Bytes::from(content))).collect()
}
