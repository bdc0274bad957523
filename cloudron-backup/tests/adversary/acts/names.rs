//! Objects with unusual names, and huge or empty objects.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::adversary::Adversary;
use crate::common::sim::SimStore;

const ODD: [&str; 24] = [
    "snapshots/x.json",
    "snapshots/backup_.json",
    "snapshots/backup_2026-13-45T99-99-99Z_v1.0.0.json",
    "snapshots/backup_2026-01-02T03-04-05Z_v1.0.0.age",
    "snapshots/a/b.json",
    "snapshots/json",
    "index/zz.age",
    "index/0000000000000000000000000000000000000000000000000000000000000000.age",
    "index/a/0000000000000000000000000000000000000000000000000000000000000000.age",
    "condemned/0000000000000000000000000000000000000000000000000000000000000000.age",
    "condemned/readme.txt",
    "packs/x",
    "packs/ff/short.age",
    "packs/00/ff00000000000000000000000000000000000000000000000000000000000000.age",
    "packs/ff/FF00000000000000000000000000000000000000000000000000000000000000.age",
    "locks/x.json",
    "locks/backup.txt",
    "forgotten/x.json",
    "keys/x.age",
    "keys/main.json",
    "writers/x.json",
    "revoked/x.json",
    "unknown/folder/object",
    "README.md",
];

/// A huge object within the size limit of its kind.
static HUGE: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![b'0'; 66 << 20]));

pub fn odd(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let name = ODD[adversary.rng.below(ODD.len() as u64) as usize];
    let content: &'static [u8] =
        [&b"junk"[..], b"[]", b"null", b"{\"schema\":2}"][adversary.rng.below(4) as usize];
    vec![(name.to_owned(), Bytes::from_static(content))]
}

/// Returns a name for an object in each folder, with random hashes.
fn names(adversary: &mut Adversary) -> Vec<String> {
    let id = cloudron_testkit::forge::hash(&adversary.rng.below(u64::MAX).to_le_bytes());
    vec![
        format!("packs/{}/{id}.age", &id[..2]),
        format!("index/{id}.age"),
        format!("condemned/{id}.age"),
        format!("forgotten/{id}.json"),
        format!("writers/{id}.json"),
        format!("revoked/{id}.json"),
        format!("keys/main-{}.age", &id[..16]),
        format!("keys/main-{}.json", &id[..16]),
        format!("snapshots/{id}.age"),
        "snapshots/backup_2025-07-02T03-04-05Z_v1.0.0.json".to_owned(),
        format!("locks/prune-{}.json", &id[..16]),
        format!("locks/backup_2025-07-02T03-04-05Z_v1.0.0-{}.json", &id[..16]),
    ]
}

pub fn huge(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let names = names(adversary);
    adversary.pick(&names).map(|name| (name.clone(), HUGE.clone())).into_iter().collect()
}

pub fn empty(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let names = names(adversary);
    adversary.pick(&names).map(|name| (name.clone(), Bytes::new())).into_iter().collect()
}
