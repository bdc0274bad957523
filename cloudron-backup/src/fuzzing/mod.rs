//! Fuzzing targets: one function for each kind of input that somebody else may have written. They return
//! nothing: none may panic, take long or use much memory, for any input.
//!
//! Targets of encrypted formats take the plaintext, and encrypt it first, because random data does not pass
//! the decryption. The targets in `fuzz/` of the repository and the tests of this module call these functions.

#[cfg(test)]
mod allocation;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod run;

use std::io::Write;
use std::sync::OnceLock;

use crate::encrypt::{AgeIdentities, AgeRecipients, Decryptor, Encryptor};
use crate::files::exclude::Patterns;
use crate::format::config::Config;
use crate::format::index::{Kind, object};
use crate::format::manifest::ManifestReader;
use crate::format::summary::Summary;
use crate::format::trust::Trust;
use crate::keys::Identity;
use crate::restore::RestoreRequest;

/// A target: its name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 14] = [
    ("config", config),
    ("summary", summary),
    ("manifest", manifest),
    ("manifest_stream", manifest_stream),
    ("index", index),
    ("index_stream", index_stream),
    ("frame", frame),
    ("key_object", key_object),
    ("age", age),
    ("listing", listing),
    ("exclude", exclude),
    ("store_key", store_key),
    ("tar", tar),
    ("old_backup", old_backup),
];

struct Keys {
    seal: AgeRecipients,
    open: AgeIdentities,
    identity: Identity,
    /// The trust in a repository of this format, and in one of format 1.
    trusts: [Trust; 2],
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let identity = Identity::generate();
        let owner = identity.owner_key().verifying_key();
        let first = identity.first_signing_key().verifying_key();
        Keys {
            seal: AgeRecipients::parse([identity.recipient()]).expect("a recipient"),
            open: AgeIdentities::parse([&identity.to_secret()]).expect("an identity"),
            trusts: [Trust::of_owner("ab", owner), Trust::of_first("ab", first)],
            identity,
        }
    })
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    keys().seal.seal_bytes(plain).expect("sealing into memory works")
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 1).expect("compressing into memory works")
}

/// Parses `cloudron-backup.json`.
pub fn config(input: &[u8]) {
    if let Ok(config) = Config::parse(input) {
        let _ = (config.owner_key(), config.first_keys());
    }
    let _ = Config::check_signature(input, None);
    let _ = Config::check_signature(input, Some(&keys().identity));
}

/// Parses `snapshots/<backup id>.json`.
pub fn summary(input: &[u8]) {
    let id = "backup_2026-01-02T03-04-05Z_v1.0.0";
    for trust in &keys().trusts {
        let _ = trust.summary(id, input);
        let _ = trust.standing(&id.parse().expect("an id"), input, keys().identity.writer_keys().writer());
    }
    if let Ok(summary) = serde_json::from_slice::<Summary>(input) {
        let _ = (summary.check_place(id, "ab"), summary.manifest_key());
        let _ = keys().identity.writer_keys().certificate.forbids(&summary);
    }
}

/// Parses the lines of a manifest.
pub fn manifest(input: &[u8]) {
    manifest_stream(&compressed(input));
}

/// Parses a compressed manifest.
pub fn manifest_stream(input: &[u8]) {
    let Ok(mut file) = tempfile::tempfile() else { return };
    if file.write_all(&sealed(input)).is_err() {
        return;
    }
    let Ok(mut entries) = ManifestReader::new(&file, &keys().open) else { return };
    let request = RestoreRequest::under("/target");
    let places = crate::restore::places(&request, entries.header());
    while let Ok(Some(entry)) = entries.next() {
        let _ = (entry.target(), entry.xattrs());
        if let Ok(places) = &places {
            let _ = places.of(&entry.path());
        }
    }
}

/// Parses the lines of an index object.
pub fn index(input: &[u8]) {
    index_stream(&compressed(input));
}

/// Parses a compressed index object.
pub fn index_stream(input: &[u8]) {
    let object = sealed(input);
    for trust in &keys().trusts {
        if let Ok(lines) = object::decode(&object, &keys().open, trust, Kind::Index) {
            let mut index = crate::format::index::Index::default();
            lines.entries.iter().for_each(|e| index.add(e));
        }
    }
}

/// Unpacks a frame: four bytes with the length of its chunk, and the frame.
pub fn frame(input: &[u8]) {
    if let Some((length, frame)) = input.split_first_chunk::<4>() {
        let _ = crate::chunk::frame::unframe(frame, u32::from_le_bytes(*length));
    }
}

/// Parses the clear-text part of an object under `keys/`. Opening one takes about a second, by the design of scrypt.
pub fn key_object(input: &[u8]) {
    let _ = crate::format::key::lock_of(input);
    let _ = crate::layout::is_key_sound("keys/main-0011223344556677.age", input);
}

/// Opens an encrypted object.
pub fn age(input: &[u8]) {
    let _ = keys().open.open_bytes(input);
}

/// Parses the listing of unchanged files in the cache.
pub fn listing(input: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    if std::fs::write(folder.path().join("files"), input).is_ok() {
        crate::cache::files::read_listing(folder.path(), "ab", &[b"/a", b"/a/b", b"/z"]);
    }
}

/// Matches a pattern: the pattern, a line feed, and a path.
pub fn exclude(input: &[u8]) {
    let mut parts = input.splitn(2, |b| *b == b'\n');
    let pattern = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let path = parts.next().unwrap_or_default();
    let _ = Patterns::new(&[pattern]).map(|patterns| patterns.matches(path));
}

/// Parses the key of an object in a list.
pub fn store_key(input: &[u8]) {
    let key = String::from_utf8_lossy(input);
    let _ = crate::store::check_key(&key);
    let _ = crate::layout::id_of(&key);
    let _ = crate::layout::summary_name(&key).map(str::parse::<cloudron_core::BackupId>);
    let _ = crate::store::open_store(&key);
}

/// A tar in memory.
struct Slice<'a>(&'a [u8]);

impl crate::import::tar::Bytes for Slice<'_> {
    fn next(&mut self, most: usize) -> cloudron_core::Result<&[u8]> {
        let (next, rest) = self.0.split_at(self.0.len().min(most));
        self.0 = rest;
        Ok(next)
    }
}

/// Reads the archive in an old backup, unchanged and with corrected header checksums.
pub fn tar(input: &[u8]) {
    let mut summed = input.to_vec();
    for block in summed.chunks_exact_mut(512) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        // A block of zeros ends the archive.
        let text = if sum == 8 * u32::from(b' ') { "\0".repeat(8) } else { format!("{sum:06o}\0 ") };
        block[148..156].copy_from_slice(text.as_bytes());
    }
    for tar in [input, &summed] {
        let mut members = crate::import::tar::Reader::new(Slice(tar));
        while let Ok(Some(_)) = members.next() {
            while members.content(u64::MAX).is_ok_and(|block| !block.is_empty()) {}
        }
    }
}

/// Reads the file of an old backup, and its name.
pub fn old_backup(input: &[u8]) {
    let _ = crate::import::OldBackup::parse(&String::from_utf8_lossy(input));
    let file = Box::new(std::io::Cursor::new(input.to_vec()));
    let tar = crate::import::unwrapped(file, Some(cloudron_core::Secret::new("key")));
    // A few bytes may expand to any length of zeros.
    let _ = std::io::copy(&mut std::io::Read::take(tar, 4 << 20), &mut std::io::sink());
}
