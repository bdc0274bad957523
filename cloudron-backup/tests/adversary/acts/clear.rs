//! Clear-text objects: summaries, tombstones, locks, records of removed backups, certificates, descriptions.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use cloudron_core::{BackupId, Version};
use cloudron_testkit::forge::{Forge, writer_id};
use serde_json::{Value, json};

use crate::adversary::{Adversary, stored};
use crate::common::sim::SimStore;

/// Returns the names of the backups in the store.
fn listed(sim: &SimStore) -> Vec<String> {
    let name = |key: &str| key.strip_prefix("snapshots/")?.strip_suffix(".json").map(str::to_owned);
    sim.list("snapshots/").into_iter().filter_map(|o| name(&o.key)).collect()
}

/// Returns the summaries in the store that are JSON.
fn summaries(sim: &SimStore) -> Vec<Value> {
    let objects = sim.list("snapshots/").into_iter().filter(|o| o.key.ends_with(".json") && o.size < 1 << 16);
    objects.filter_map(|o| serde_json::from_slice(&sim.get(&o.key).ok()?).ok()).collect()
}

/// Returns the forge for the next signature: with the adversary's keys, claiming to be an honest writer, or
/// in format 1.
fn forge(adversary: &mut Adversary, sim: &SimStore) -> Forge {
    let forge = adversary.forge.clone();
    let certificates: Vec<Value> =
        summaries(sim).into_iter().filter_map(|s| s.get("certificate").cloned()).collect();
    match adversary.rng.below(6) {
        0 => forge.of_version(3 - adversary.forge.version.min(2)),
        1 => match adversary.pick(&certificates) {
            Some(certificate) => forge.claiming(certificate.clone()),
            None => forge,
        },
        2 if !forge.has_keys() => {
            let certificate = forge.own_certificate("main");
            forge.claiming(certificate)
        }
        _ => forge,
    }
}

/// Returns the host, domain and folders of a machine, with or without backups.
pub fn machine(adversary: &mut Adversary, sim: &SimStore) -> Value {
    let known = summaries(sim);
    match adversary.pick(&known) {
        Some(one) if !adversary.rng.once_in(5) => {
            json!({"host": one["host"], "fqdn": one["fqdn"], "sources": one["sources"]})
        }
        _ => json!({"host": "elsewhere\u{1b}[2J", "fqdn": "", "sources": [{"name": "x", "path": "/source"}]}),
    }
}

/// Returns a number for a backup.
pub fn sequence(adversary: &mut Adversary) -> u64 {
    let usual = adversary.rng.below(40);
    [usual, usual, 0, 1 << 53, u64::MAX - 1, u64::MAX][adversary.rng.below(6) as usize]
}

/// Returns an id of about the current time.
pub fn id(adversary: &mut Adversary, sim: &SimStore) -> String {
    let time = sim.now() - Duration::from_secs(adversary.rng.below(86400));
    BackupId::new(time, &Version::current()).to_string()
}

fn whole(adversary: &mut Adversary, sim: &SimStore, id: &str) -> Vec<(String, Bytes)> {
    let forge = forge(adversary, sim);
    let change = machine(adversary, sim);
    let path = change["sources"][0]["path"].as_str().unwrap_or("/source").to_owned();
    let (entry, frame) = forge.file(&format!("{path}/file"), b"forged");
    let mut entries = vec![json!({"type": "dir", "path": path, "mode": 0o755}), entry];
    if adversary.rng.once_in(3) {
        entries = super::sealed::costly_entries(adversary, &path);
    }
    let sources = json!([{"name": "source", "path": path, "type": "dir"}]);
    let manifest = forge.manifest(id, &sources, &entries);
    let mut objects = stored(forge.backup(id, sequence(adversary), manifest, &change));
    if adversary.rng.once_in(2) {
        // With its content, so that it is complete.
        let pack = forge.pack(&frame);
        let (name, size) = (cloudron_testkit::forge::hash(&pack.1), pack.1.len() as u64);
        let chunk = (forge.chunk_id(b"forged"), 0, frame.len() as u64, 6);
        let line = cloudron_testkit::forge::line(&name, size, &[chunk]);
        objects.extend(stored([pack, forge.index("index", &[line])]));
    }
    objects
}

pub fn backup(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let id = id(adversary, sim);
    whole(adversary, sim, &id)
}

pub fn backup_of_another_time(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let second = [0, 1_000_000_000, 4_000_000_000, 250_000_000_000][adversary.rng.below(4) as usize];
    let id = BackupId::new(UNIX_EPOCH + Duration::from_secs(second), &Version::current()).to_string();
    whole(adversary, sim, &id)
}

pub fn backup_without_manifest(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let id = id(adversary, sim);
    let change = machine(adversary, sim);
    let forge = forge(adversary, sim);
    stored([forge.summary(&id, sequence(adversary), b"a manifest that is nowhere", &change)])
}

/// Occupies the names of the next backups.
pub fn squats(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let expected = adversary.expected.clone();
    let mut objects = Vec::new();
    for id in expected {
        let slots = 1 + adversary.rng.below(4);
        for slot in 0..slots {
            let id = if slot == 0 { id.clone() } else { format!("{id}+{slot}") };
            objects.extend(match adversary.rng.below(5) {
                0 => whole(adversary, sim, &id),
                1 => stored([forge(adversary, sim).tombstone(&id)]),
                2 => stored([(format!("snapshots/{id}.json"), b"{}".to_vec())]),
                3 => stored([(format!("snapshots/{id}.age"), b"no manifest".to_vec())]),
                _ => {
                    let known = listed(sim);
                    let other =
                        adversary.pick(&known).and_then(|n| sim.get(&format!("snapshots/{n}.json")).ok());
                    vec![(format!("snapshots/{id}.json"), other.unwrap_or_default())]
                }
            });
        }
    }
    objects
}

pub fn tombstone(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let names = listed(sim);
    let new = id(adversary, sim);
    let name = adversary.pick(&names).cloned().filter(|_| adversary.forge.version < 3).unwrap_or(new);
    stored([forge(adversary, sim).tombstone(&name)])
}

/// Returns the writers named in certificates.
fn writers(adversary: &Adversary, sim: &SimStore) -> Vec<String> {
    let named = summaries(sim).into_iter().filter_map(|s| {
        let mut key = [0; 32];
        hex::decode_to_slice(s["certificate"]["key"].as_str()?, &mut key).ok()?;
        Some(writer_id(&key))
    });
    named.chain([adversary.forge.writer()]).collect()
}

pub fn forgotten(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let writers = writers(adversary, sim);
    let writer = adversary.pick(&writers).cloned().unwrap_or_default();
    let ranges = [(1, 1000), (u64::MAX - 1, u64::MAX), (0, u64::MAX), (9, 3), (1 << 60, 1 << 61)];
    let range = ranges[adversary.rng.below(5) as usize];
    stored([forge(adversary, sim).forgotten(&writer, &[range])])
}

pub fn forgotten_bomb(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let writers = writers(adversary, sim);
    let writer = adversary.pick(&writers).cloned().unwrap_or_default();
    let ranges: Vec<(u64, u64)> = match adversary.rng.once_in(2) {
        true => (0..100).map(|n| (n * 9_999_999, n * 9_999_999 + 9_999_998)).collect(),
        false => (0..20_000).map(|n| (n * 3, n * 3)).collect(),
    };
    stored([forge(adversary, sim).forgotten(&writer, &ranges)])
}

fn odd_lock(adversary: &mut Adversary) -> Value {
    match adversary.rng.below(4) {
        0 => json!({"expiry": u64::MAX}),
        1 => json!({"expiry": 86400, "since": "1970-01-01T00:00:00Z"}),
        2 => json!({"since": "9999-01-01T00:00:00Z", "host": "x".repeat(70_000)}),
        _ => json!({"lock": 7, "expiry": "for ever"}),
    }
}

pub fn lock(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let other = id(adversary, sim);
    let name = adversary.expected.first().cloned().filter(|_| adversary.rng.once_in(2)).unwrap_or(other);
    let suffix = adversary.rng.below(u64::MAX);
    let name = if adversary.rng.once_in(2) { name } else { format!("{name}-{suffix:016x}") };
    let change = odd_lock(adversary);
    stored([forge(adversary, sim).lock(&name, &change)])
}

pub fn owners_lock(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let what = ["prune", "repair", "copy"][adversary.rng.below(3) as usize];
    let name = format!("{what}-{:016x}", adversary.rng.below(u64::MAX));
    let change = odd_lock(adversary);
    stored([forge(adversary, sim).lock(&name, &change)])
}

pub fn certificate(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let certificate = adversary.forge.own_certificate("main");
    stored([adversary.forge.writer_object(&certificate)])
}

pub fn revocation(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let writers = writers(adversary, sim);
    let writer = adversary.pick(&writers).cloned().unwrap_or_default();
    let (key, content) = adversary.forge.revocation(&writer);
    stored([(key.replace("writers/", "revoked/"), content.clone()), (key, content)])
}

pub fn description(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let Ok(original) = sim.get("cloudron-backup.json") else { return Vec::new() };
    let Ok(value) = serde_json::from_slice::<Value>(&original) else { return Vec::new() };
    let own = "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq";
    let change = match adversary.rng.below(5) {
        0 => json!({"version": 9}),
        1 => json!({"recipients": {"data": [value["recipients"]["data"][0], own], "index": []}}),
        2 => json!({"owner": "11".repeat(32), "signing_keys": ["11".repeat(32)]}),
        3 => json!({"id": "00".repeat(16)}),
        _ => json!({"chunker": {"min": 1, "average": 1, "max": 1, "small_file": 1, "run": 1}}),
    };
    let (key, content) = adversary.forge.description(&original, &change);
    stored([(key.clone(), content.clone()), (format!("copies/{key}"), content)])
}

pub fn key_statement(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let salt = adversary.rng.below(u64::MAX);
    let key = adversary.forge.wrapped_key("main", 22, salt);
    let honest = sim.list("keys/").into_iter().find(|o| o.key.ends_with(".age") && o.size < 1 << 16);
    let statement = adversary.forge.key_statement(&key);
    let mut objects = vec![statement];
    if let Some(honest) = honest.and_then(|o| Some((o.key.clone(), sim.get(&o.key).ok()?.to_vec()))) {
        objects.push(adversary.forge.key_statement(&honest));
    }
    objects.push(key);
    stored(objects)
}
