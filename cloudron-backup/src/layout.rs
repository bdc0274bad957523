//! The names of the objects of a repository.

use cloudron_core::BackupId;
use sha2::{Digest, Sha256};

use crate::chunk::ChunkId;

pub(crate) const CONFIG: &str = "cloudron-backup.json";
pub(crate) const RECOVER_MD: &str = "RECOVER.md";
pub(crate) const RECOVER_PY: &str = "recover.py";
pub(crate) const RECOVER_SH: &str = "recover.sh";
pub(crate) const KEYS: &str = "keys/";
pub(crate) const PACKS: &str = "packs/";
pub(crate) const INDEX: &str = "index/";
pub(crate) const SNAPSHOTS: &str = "snapshots/";
pub(crate) const LOCKS: &str = "locks/";
pub(crate) const CONDEMNED: &str = "condemned/";
pub(crate) const FORGOTTEN: &str = "forgotten/";
/// Certificates of writers.
pub(crate) const WRITERS: &str = "writers/";
/// Revocations of writers.
pub(crate) const REVOKED: &str = "revoked/";
/// Second copies of the description and of the keys.
pub(crate) const COPIES: &str = "copies/";

/// The largest summary, certificate or description, in bytes. Larger objects are ignored.
pub(crate) const MOST_JSON: u64 = 1 << 20;
/// The largest lock or key object, in bytes.
pub(crate) const MOST_SMALL: u64 = 64 << 10;
/// The largest object that lists numbers or hashes, in bytes.
pub(crate) const MOST_LIST: u64 = 16 << 20;
/// The largest index object, in bytes.
pub(crate) const MOST_INDEX: u64 = 64 << 20;
/// The largest pack, in bytes.
pub(crate) const MOST_PACK: u64 = 34 << 20;

/// The objects outside of any folder.
const FILES: [&str; 4] = [CONFIG, RECOVER_MD, RECOVER_PY, RECOVER_SH];
/// The folders filled when a repository and its writers are created.
const MADE_WITH: [&str; 4] = [KEYS, WRITERS, REVOKED, COPIES];
/// The folders filled by backups and by maintenance.
const FILLED_LATER: [&str; 6] = [PACKS, INDEX, SNAPSHOTS, LOCKS, CONDEMNED, FORGOTTEN];

/// Checks whether an object of this key can be part of a repository. A folder with a repository may also hold
/// other files of its owner; removing the repository leaves those.
pub fn is_of_repository(key: &str) -> bool {
    FILES.contains(&key) || MADE_WITH.iter().chain(&FILLED_LATER).any(|folder| key.starts_with(folder))
}

/// Checks whether an object of this key shows that the repository was used: it has, or had, a backup.
pub fn is_of_backups(key: &str) -> bool {
    FILLED_LATER.iter().any(|folder| key.starts_with(folder))
}

/// Returns the key of a key object. The name ends in the first sixteen digits of the content's hash, so that
/// damage is detected.
pub(crate) fn key(name: &str, content: &[u8]) -> String {
    format!("{KEYS}{name}-{}.age", &object_id(content)[..16])
}

/// Checks that a key object has the hash that its name ends in.
pub(crate) fn is_key_sound(key: &str, content: &[u8]) -> bool {
    id_of(key).is_some_and(|name| name.ends_with(&format!("-{}", &object_id(content)[..16])))
}

pub(crate) fn pack(id: &ChunkId) -> String {
    let id = hex::encode(id.0);
    format!("{PACKS}{}/{id}.age", &id[..2])
}

pub(crate) fn index(id: &str) -> String {
    format!("{INDEX}{id}.age")
}

pub(crate) fn lock(name: &str) -> String {
    format!("{LOCKS}{name}.json")
}

pub(crate) fn condemned(id: &str) -> String {
    format!("{CONDEMNED}{id}.age")
}

pub(crate) fn forgotten(id: &str) -> String {
    format!("{FORGOTTEN}{id}.json")
}

pub(crate) fn summary(id: &BackupId) -> String {
    format!("{SNAPSHOTS}{id}.json")
}

/// Returns the key of the manifest of a backup of format 1.
pub(crate) fn first_manifest(id: &BackupId) -> String {
    format!("{SNAPSHOTS}{id}.age")
}

/// Returns the key of a manifest, by its hash.
pub(crate) fn manifest(hash: &str) -> String {
    format!("{SNAPSHOTS}{hash}.age")
}

pub(crate) fn certificate(content: &[u8]) -> String {
    format!("{WRITERS}{}.json", object_id(content))
}

pub(crate) fn revocation(content: &[u8]) -> String {
    format!("{REVOKED}{}.json", object_id(content))
}

/// Checks whether a key is that of a JSON object named by its hash, in a folder.
pub(crate) fn is_hash_json(key: &str) -> bool {
    key.split_once('/').and_then(|(_, name)| name.strip_suffix(".json")).is_some_and(is_hash)
}

/// Checks whether a key is that of an age file named by its hash, in one or two folders.
pub(crate) fn is_hash_age(key: &str) -> bool {
    id_of(key).is_some_and(is_hash)
}

/// Returns the size in bytes of the largest object that this program writes under a key: 0 where it writes none.
pub(crate) fn largest(key: &str) -> u64 {
    let key = key.strip_prefix(COPIES).unwrap_or(key);
    match key {
        CONFIG | RECOVER_MD | RECOVER_PY | RECOVER_SH => MOST_JSON,
        _ if key.starts_with(KEYS) => MOST_SMALL,
        _ if key.starts_with(PACKS) && is_hash_age(key) => MOST_PACK,
        _ if (key.starts_with(INDEX) || key.starts_with(CONDEMNED)) && is_hash_age(key) => MOST_INDEX,
        _ if key.starts_with(WRITERS) && is_hash_json(key) => MOST_JSON,
        _ if (key.starts_with(REVOKED) || key.starts_with(FORGOTTEN)) && is_hash_json(key) => MOST_LIST,
        _ if key.starts_with(SNAPSHOTS) && key.ends_with(".json") => MOST_JSON,
        // A manifest has no limit: its size grows with the number of files.
        _ if key.starts_with(SNAPSHOTS) && key.ends_with(".age") => u64::MAX,
        _ => 0,
    }
}

/// Checks that an object is one of a repository by its name, and no larger than those are.
pub(crate) fn is_ours(key: &str, size: u64) -> bool {
    let largest = largest(key);
    size <= largest && largest > 0
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Returns the summary names that a backup may have, in the order in which they are tried. A slot taken by
/// another object is skipped.
pub(crate) fn slots(id: &BackupId) -> impl Iterator<Item = BackupId> {
    (0..MOST_SLOTS).filter_map(|n| if n == 0 { Some(id.clone()) } else { id.slot(n) })
}

/// The maximum number of slots of a backup.
const MOST_SLOTS: u32 = 10_000;

/// Returns the id of an object named by its hash: the file name without `.age`.
pub(crate) fn id_of(key: &str) -> Option<&str> {
    key.rsplit('/').next()?.strip_suffix(".age")
}

/// Returns the id of an object with this content.
pub(crate) fn object_id(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// Returns the backup's id from the key of a summary.
pub(crate) fn summary_name(key: &str) -> Option<&str> {
    key.strip_prefix(SNAPSHOTS)?.strip_suffix(".json")
}

/// Returns the key of the second copy of an object.
pub(crate) fn copy_of(key: &str) -> String {
    format!("{}{key}", COPIES)
}
