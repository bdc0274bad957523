//! What reads bytes that somebody else may have written, one function for each kind of them. They give nothing
//! back: what counts is that none panics, takes long or takes much memory, whatever it is given.
//!
//! Sealed formats take the plaintext, and seal it first: nobody gets past the encryption by chance. The targets in
//! `fuzz/` of the repository and the tests of this module call these.

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

/// A target: its name and what it does with its input.
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
    /// Of a repository of this format, and of one of format 1.
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

/// `cloudron-backup.json`.
pub fn config(input: &[u8]) {
    if let Ok(config) = Config::parse(input) {
        let _ = (config.owner_key(), config.first_keys());
    }
    let _ = Config::check_signature(input, None);
    let _ = Config::check_signature(input, Some(&keys().identity));
}

/// `snapshots/<backup id>.json`.
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

/// The lines of a manifest.
pub fn manifest(input: &[u8]) {
    manifest_stream(&compressed(input));
}

/// A manifest as it is compressed.
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

/// The lines of an index object.
pub fn index(input: &[u8]) {
    index_stream(&compressed(input));
}

/// An index object as it is compressed.
pub fn index_stream(input: &[u8]) {
    let object = sealed(input);
    for trust in &keys().trusts {
        if let Ok(lines) = object::decode(&object, &keys().open, trust, Kind::Index) {
            let mut index = crate::format::index::Index::default();
            lines.entries.iter().for_each(|e| index.add(e));
        }
    }
}

/// A frame: four bytes of the length that its chunk should have, and the frame.
pub fn frame(input: &[u8]) {
    if let Some((length, frame)) = input.split_first_chunk::<4>() {
        let _ = crate::chunk::frame::unframe(frame, u32::from_le_bytes(*length));
    }
}

/// The clear part of an object under `keys/`. Opening one takes a second of computing on purpose.
pub fn key_object(input: &[u8]) {
    let _ = crate::format::key::lock_of(input);
    let _ = crate::layout::is_key_sound("keys/main-0011223344556677.age", input);
}

/// A sealed object as it is stored.
pub fn age(input: &[u8]) {
    let _ = keys().open.open_bytes(input);
}

/// The listing of unchanged files in the cache.
pub fn listing(input: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    if std::fs::write(folder.path().join("files"), input).is_ok() {
        crate::cache::files::read_listing(folder.path(), "ab", &[b"/a", b"/a/b", b"/z"]);
    }
}

/// A pattern of what is left out, a line feed, and a path.
pub fn exclude(input: &[u8]) {
    let mut parts = input.splitn(2, |b| *b == b'\n');
    let pattern = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let path = parts.next().unwrap_or_default();
    let _ = Patterns::new(&[pattern]).map(|patterns| patterns.matches(path));
}

/// The key of an object in a list.
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

/// The archive in an old backup, as it is and with the sums of its headers put right.
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

/// The file of an old backup, and its name.
pub fn old_backup(input: &[u8]) {
    let _ = crate::import::OldBackup::parse(&String::from_utf8_lossy(input));
    let file = Box::new(std::io::Cursor::new(input.to_vec()));
    let tar = crate::import::unwrapped(file, Some(cloudron_core::Secret::new("key")));
    // A few bytes may hold any length of zeros.
    let _ = std::io::copy(&mut std::io::Read::take(tar, 4 << 20), &mut std::io::sink());
}
