//! Encrypted objects: packs, index objects, records of condemned packs, wrapped keys, manifests.

use bytes::Bytes;
use cloudron_testkit::forge::{Forge, frame, hash, line};
use serde_json::{Value, json};

use crate::adversary::{Adversary, stored};
use crate::common::noise;
use crate::common::sim::SimStore;

/// Returns the packs in the store: id and size.
fn packs(sim: &SimStore) -> Vec<(String, u64)> {
    let id = |key: &str| key.rsplit('/').next()?.strip_suffix(".age").map(str::to_owned);
    let listed = sim.list("packs/").into_iter();
    listed.filter_map(|o| Some((id(&o.key)?, o.size))).filter(|(id, _)| id.len() == 64).collect()
}

/// Returns the lines of every index object that opens with the stolen keys.
fn lines(forge: &Forge, sim: &SimStore) -> Vec<Value> {
    let objects = sim.list("index/").into_iter().filter(|o| o.size < 1 << 20);
    objects.filter_map(|o| sim.get(&o.key).ok()).flat_map(|content| forge.read_index(&content)).collect()
}

/// Returns the chunks in the index: id and length. Without keys, random ones.
fn chunks(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, u64)> {
    let lines = lines(&adversary.forge, sim);
    let named = lines.iter().flat_map(|l| l["chunks"].as_array().cloned().unwrap_or_default());
    let mut chunks: Vec<_> =
        named.filter_map(|c| Some((c[0].as_str()?.to_owned(), c[3].as_u64()?))).collect();
    chunks.sort();
    chunks.dedup();
    if chunks.is_empty() {
        chunks.extend((0..5).map(|_| (hash(&adversary.rng.below(u64::MAX).to_le_bytes()), 1000)));
    }
    chunks
}

/// Returns the forge for the next signature: with the adversary's keys, or in the format of another version.
fn forge(adversary: &mut Adversary) -> Forge {
    let version = if adversary.rng.once_in(6) { 3 - adversary.forge.version.min(2) } else { 0 };
    if version == 0 { adversary.forge.clone() } else { adversary.forge.clone().of_version(version) }
}

/// Encrypts repeatedly until the name sorts before most others: with several lines, the first one used to win.
fn first(forge: &Forge, kind: &str, lines: &[Value]) -> Vec<(String, Bytes)> {
    let tries = (0..6).map(|_| forge.index(kind, lines));
    stored(tries.min_by(|a, b| a.0.cmp(&b.0)))
}

pub fn condemns_all(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let lines: Vec<Value> = packs(sim).iter().map(|(pack, size)| line(pack, *size, &[])).collect();
    stored([forge(adversary).index("condemned", &lines)])
}

pub fn condemns_some(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let packs = packs(sim);
    let known = lines(&adversary.forge, sim);
    let mut chosen = Vec::new();
    for (pack, size) in packs {
        if adversary.rng.once_in(2) {
            let honest = known.iter().find(|l| l["pack"] == *pack).cloned();
            chosen.push(honest.unwrap_or_else(|| line(&pack, size, &[])));
        }
    }
    stored([forge(adversary).index("condemned", &chosen)])
}

pub fn empties_lines(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let lines: Vec<Value> = packs(sim).iter().map(|(pack, size)| line(pack, *size, &[])).collect();
    first(&forge(adversary), "index", &lines)
}

pub fn names_chunks_in_rubbish(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let forge = forge(adversary);
    let rubbish = forge.pack(&frame(&noise(40, adversary.rng.below(9) as u8)));
    let (id, size) = (hash(&rubbish.1), rubbish.1.len() as u64);
    let length = [49, 0, 1 << 31, u64::from(u32::MAX)][adversary.rng.below(4) as usize];
    let offset = [0, 0, 7, 1 << 30][adversary.rng.below(4) as usize];
    let chunks: Vec<_> =
        chunks(adversary, sim).into_iter().map(|(chunk, raw)| (chunk, offset, length, raw)).collect();
    let mut objects = first(&forge, "index", &[line(&id, size, &chunks)]);
    objects.extend(stored([rubbish]));
    objects
}

pub fn swaps_chunks(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let mut lines = lines(&adversary.forge, sim);
    for line in &mut lines {
        if let Some(chunks) = line["chunks"].as_array_mut() {
            let ids: Vec<Value> = chunks.iter().map(|c| c[0].clone()).collect();
            for (n, chunk) in chunks.iter_mut().enumerate() {
                chunk[0] = ids[(n + 1) % ids.len()].clone();
            }
        }
    }
    first(&forge(adversary), "index", &lines)
}

pub fn lies_about_sizes(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let chunks = chunks(adversary, sim);
    let mut lies = Vec::new();
    for (pack, size) in packs(sim) {
        let size = [size + 1, 0, u64::MAX, size][adversary.rng.below(4) as usize];
        let mut place =
            |(chunk, raw): &(String, u64)| (chunk.clone(), adversary.rng.below(200_000), 900, *raw);
        lies.push(line(&pack, size, &chunks.iter().map(&mut place).collect::<Vec<_>>()));
    }
    first(&forge(adversary), "index", &lies)
}

pub fn odd_lines(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let kind = if adversary.rng.once_in(2) { "index" } else { "condemned" };
    let pack = packs(sim).first().map_or_else(|| hash(b"none"), |(pack, _)| pack.clone());
    let odd = match adversary.rng.below(6) {
        0 => json!({"pack": pack, "size": 1, "chunks": [[pack, 0, 1, 1u64 << 40]]}),
        1 => json!({"pack": pack, "size": -1, "chunks": "none"}),
        2 => json!([[[[[[pack]]]]]]),
        3 => json!({"pack": "short", "size": 1, "chunks": []}),
        4 => json!({"pack": pack, "size": 1, "chunks": vec![json!([pack, 0, 1, 1]); 3000]}),
        _ => json!({"signature": "00".repeat(64)}),
    };
    stored([forge(adversary).index(kind, &[odd.clone(), odd])])
}

pub fn index_bomb(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let kind = if adversary.rng.once_in(2) { "index" } else { "condemned" };
    stored([adversary.forge.index_bomb(kind, 40)])
}

pub fn odd_pack(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let plain = match adversary.rng.below(4) {
        0 => noise(500, adversary.rng.below(200) as u8),
        // Frames of zeros: a few bytes that expand to many.
        1 => (0..20).flat_map(|_| zeros()).collect(),
        // A frame that claims to be larger than any chunk.
        2 => vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0],
        _ => Vec::new(),
    };
    stored([adversary.forge.pack(&plain)])
}

fn zeros() -> Vec<u8> {
    use std::sync::LazyLock;
    static ZEROS: LazyLock<Vec<u8>> = LazyLock::new(|| zstd::bulk::compress(&vec![0; 16 << 20], 1).unwrap());
    ZEROS.clone()
}

/// Returns a pack without an index line, with chunks of an honest machine whose content the adversary knows.
pub fn orphaned_chunks(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let content = noise(128 << 10, adversary.rng.below(6) as u8);
    let plain = [frame(&content), frame(b"x")].concat();
    stored([adversary.forge.pack(&plain)])
}

pub fn costly_key(adversary: &mut Adversary, _: &SimStore) -> Vec<(String, Bytes)> {
    let name = ["aaa", "main", "zzz"][adversary.rng.below(3) as usize];
    let factor = [22, 21, 63, 255][adversary.rng.below(4) as usize];
    let salt = adversary.rng.below(u64::MAX);
    stored([adversary.forge.wrapped_key(name, factor, salt)])
}

/// Entries that claim large sizes.
pub fn costly_entries(adversary: &mut Adversary, path: &str) -> Vec<Value> {
    let file = |extents: Value, size: u64, more: u64| {
        json!({"type": "file", "path": format!("{path}/f"), "mode": 0o644, "mtime": [0, 0], "size": size,
            "sha256": hash(b""), "extents": extents, "more": more})
    };
    let chunk = hash(b"a chunk that nobody has");
    match adversary.rng.below(5) {
        0 => vec![file(json!([[chunk, 5]]), 5, u64::from(u32::MAX))],
        1 => vec![file(json!([[null, 1u64 << 62]]), 1 << 62, 0)],
        2 => vec![json!({"type": "file", "path": format!("{path}/../../etc/passwd"), "mode": 0o4755})],
        3 => vec![json!({"type": "dir", "path": "/".repeat(5000)})],
        _ => vec![file(json!([[chunk, 1u64 << 40, 1u64 << 40]]), 1 << 40, 0)],
    }
}

pub fn costly_manifest(adversary: &mut Adversary, sim: &SimStore) -> Vec<(String, Bytes)> {
    let id = super::clear::id(adversary, sim);
    let forge = forge(adversary);
    let sources = json!([{"name": "source", "path": "/source", "type": "dir"}]);
    let manifest = match adversary.rng.once_in(4) {
        true => forge.manifest_bomb(40),
        false => forge.manifest(&id, &sources, &costly_entries(adversary, "/source")),
    };
    let change = super::clear::machine(adversary, sim);
    stored(forge.backup(&id, super::clear::sequence(adversary), manifest, &change))
}
