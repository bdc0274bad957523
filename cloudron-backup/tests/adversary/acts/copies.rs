//! Earlier objects of this or another store: unchanged, under other names, or damaged.

use bytes::Bytes;
use cloudron_testkit::forge::hash;

use crate::adversary::Adversary;
use crate::common::sim::SimStore;

/// Returns a random object from the history of the store, unless it is huge.
fn seen(adversary: &mut Adversary, sim: &SimStore) -> Option<(String, Bytes)> {
    let history: Vec<_> = sim.history().into_iter().filter(|(_, c)| c.len() < 8 << 20).collect();
    // In half of the cases a deleted one.
    let gone: Vec<_> = history.iter().filter(|(key, _)| sim.head(key).is_none()).cloned().collect();
    let from = if adversary.rng.once_in(2) && !gone.is_empty() { gone } else { history };
    adversary.pick(&from).cloned()
}

pub fn replayed(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    seen(adversary, sim).into_iter().collect()
}

/// Returns the name of an object with this content in a folder.
fn named(folder: &str, content: &[u8], like: &str) -> String {
    let id = hash(content);
    match folder {
        "packs" => format!("packs/{}/{id}.age", &id[..2]),
        "index" | "condemned" => format!("{folder}/{id}.age"),
        "forgotten" | "writers" | "revoked" => format!("{folder}/{id}.json"),
        "keys" => format!("keys/main-{}.age", &id[..16]),
        "snapshots" if like.ends_with(".age") => format!("snapshots/{id}.age"),
        _ => format!("{folder}/{}", like.rsplit('/').next().unwrap_or("x")),
    }
}

const FOLDERS: [&str; 10] = [
    "packs",
    "index",
    "condemned",
    "forgotten",
    "writers",
    "revoked",
    "keys",
    "snapshots",
    "locks",
    "copies",
];

pub fn renamed(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let Some((key, content)) = seen(adversary, sim) else { return Vec::new() };
    if adversary.rng.once_in(2) {
        // In the place of another object of its kind.
        let folder = key.split('/').next().unwrap_or_default().to_owned();
        let others: Vec<_> = sim.list(&folder).into_iter().filter(|o| o.key != key).map(|o| o.key).collect();
        let place = adversary.pick(&others).cloned();
        return place.map(|place| (place, content)).into_iter().collect();
    }
    let folder = FOLDERS[adversary.rng.below(FOLDERS.len() as u64) as usize];
    vec![(named(folder, &content, &key), content)]
}

pub fn damaged(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let Some((key, content)) = seen(adversary, sim) else { return Vec::new() };
    let mut content = content.to_vec();
    if content.is_empty() {
        return Vec::new();
    }
    let at = adversary.rng.below(content.len() as u64) as usize;
    match adversary.rng.below(3) {
        0 => content.truncate(at),
        1 => content[at] ^= 1 << adversary.rng.below(8),
        _ => content.extend_from_slice(b"more"),
    }
    let folder = key.split('/').next().unwrap_or_default();
    let name = if adversary.rng.once_in(2) { key.clone() } else { named(folder, &content, &key) };
    vec![(name, content.into())]
}

pub fn of_another_repository(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let elsewhere = adversary.elsewhere.clone();
    let chosen = 1 + adversary.rng.below(3);
    (0..chosen).filter_map(|_| adversary.pick(&elsewhere).cloned()).collect()
}

pub fn second_copy(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let Some((key, content)) = seen(adversary, sim) else { return Vec::new() };
    vec![(format!("copies/{key}"), content)]
}
