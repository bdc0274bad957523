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

/// A key object: its name ends in the first sixteen digits of its hash, so that damage shows.
pub(crate) fn key(name: &str, content: &[u8]) -> String {
    format!("{KEYS}{name}-{}.age", &object_id(content)[..16])
}

/// Whether a key object has the hash that its name ends in.
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

pub(crate) fn manifest(id: &BackupId) -> String {
    format!("{SNAPSHOTS}{id}.age")
}

/// The id of an object named by its hash: the file name without `.age`.
pub(crate) fn id_of(key: &str) -> Option<&str> {
    key.rsplit('/').next()?.strip_suffix(".age")
}

/// The id that an object of this content has.
pub(crate) fn object_id(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}
