//! Objects of a backup repository, created from `docs/backup-format.md` alone, as an attacker does.
//!
//! A [`Forge`] knows what a store shows in clear: the repository's ID, its recipients, and the version of the format.
//! It signs with stolen keys of a writer, or with its own uncertified key.

mod clear;
mod sealed;

use std::io::{Read, Write};

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use sealed::frame;

/// An object: its key and its content.
pub type Object = (String, Vec<u8>);

/// Stolen keys of a writer.
#[derive(Debug, Clone)]
struct Stolen {
    index_identity: String,
    chunk_key: [u8; 32],
}

/// Creates objects of one repository.
#[derive(Debug, Clone)]
pub struct Forge {
    /// Version of the format.
    pub version: u64,
    /// ID of the repository.
    pub repository: String,
    data: Vec<String>,
    index: Vec<String>,
    signing: SigningKey,
    certificate: Option<Value>,
    stolen: Option<Stolen>,
}

/// Returns the SHA-256 of an object, in hex.
#[must_use]
pub fn hash(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// Returns the ID of the writer with that public key.
#[must_use]
pub fn writer_id(public_key: &[u8]) -> String {
    hash(public_key)[..16].to_owned()
}

impl Forge {
    /// Creates an attacker who has read `cloudron-backup.json` and has no key. It signs with an uncertified key.
    ///
    /// # Panics
    /// If the description cannot be parsed.
    #[must_use]
    pub fn keyless(description: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(description).expect("a description is JSON");
        let list = |name: &str| -> Vec<String> {
            let recipients = value["recipients"][name].as_array().into_iter().flatten();
            recipients.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            version: value["version"].as_u64().expect("a version"),
            repository: value["id"].as_str().expect("an id").to_owned(),
            data: list("data"),
            index: list("index"),
            signing: SigningKey::from_bytes(&[0x66; 32]),
            certificate: None,
            stolen: None,
        }
    }

    /// Adds the keys of a writer, in the form of `backup key writer`.
    ///
    /// # Panics
    /// If they cannot be parsed.
    #[must_use]
    pub fn with_keys(self, keys: &Value) -> Self {
        let bytes = |name: &str| -> [u8; 32] {
            let mut bytes = [0; 32];
            hex::decode_to_slice(keys[name].as_str().expect("a key"), &mut bytes).expect("32 bytes in hex");
            bytes
        };
        Self {
            signing: SigningKey::from_bytes(&bytes("signing_seed")),
            certificate: keys.get("certificate").filter(|c| c.is_object()).cloned(),
            stolen: Some(Stolen {
                index_identity: keys["index_identity"].as_str().expect("an identity").to_owned(),
                chunk_key: bytes("chunk_key"),
            }),
            ..self
        }
    }

    /// Claims to be the writer of this certificate, which is visible in a summary.
    #[must_use]
    pub fn claiming(self, certificate: Value) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// Writes another version of the format.
    #[must_use]
    pub fn of_version(self, version: u64) -> Self {
        Self { version, certificate: self.certificate.filter(|_| version > 1), ..self }
    }

    /// Returns whether it has the keys of a writer.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.stolen.is_some()
    }

    /// Returns the certificate in its objects.
    #[must_use]
    pub fn certificate(&self) -> Option<&Value> {
        self.certificate.as_ref()
    }

    /// Returns the ID of a chunk; without a writer's keys, a plausible one.
    #[must_use]
    pub fn chunk_id(&self, content: &[u8]) -> String {
        let key = self.stolen.as_ref().map_or([0; 32], |s| s.chunk_key);
        blake3::keyed_hash(&key, content).to_hex().to_string()
    }

    /// Encrypts an age file to the readers of data, and also to those of index objects if requested.
    ///
    /// # Panics
    /// If the repository's recipients are invalid.
    #[must_use]
    pub fn seal(&self, plain: &[u8], index: bool) -> Vec<u8> {
        let more = self.index.iter().filter(|_| index);
        let keys: Vec<age::x25519::Recipient> =
            self.data.iter().chain(more).map(|r| r.parse().expect("a recipient")).collect();
        let recipients = keys.iter().map(|r| r as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).expect("there are recipients");
        let mut sealed = Vec::new();
        let mut writer = encryptor.wrap_output(&mut sealed).expect("sealing into memory works");
        writer.write_all(plain).expect("sealing into memory works");
        writer.finish().expect("sealing into memory works");
        sealed
    }

    /// Returns the lines of an index object, which a writer's keys can decrypt.
    #[must_use]
    pub fn read_index(&self, object: &[u8]) -> Vec<Value> {
        let Some(stolen) = &self.stolen else { return Vec::new() };
        let identity: age::x25519::Identity = stolen.index_identity.parse().expect("an identity");
        let Ok(decryptor) = age::Decryptor::new_buffered(object) else { return Vec::new() };
        let Ok(mut reader) = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)) else {
            return Vec::new();
        };
        let mut packed = Vec::new();
        if reader.read_to_end(&mut packed).is_err() {
            return Vec::new();
        }
        let Ok(text) = zstd::stream::decode_all(&packed[..]) else { return Vec::new() };
        let lines = text.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        lines.filter(|line: &Value| line.get("pack").is_some()).collect()
    }

    /// Returns a signed JSON object in stored form.
    fn signed(&self, mut object: Value, kind: &str) -> Vec<u8> {
        let mut text = format!("cloudron-backup {kind} v{}\n", self.version).into_bytes();
        canonical(&object, &mut text);
        object["signature"] = hex::encode(self.signing.sign(&text).to_bytes()).into();
        serde_json::to_vec_pretty(&object).expect("it is JSON")
    }

    /// Adds the certificate if the format has one.
    fn certified(&self, mut object: Value) -> Value {
        if let Some(certificate) = self.certificate.as_ref().filter(|_| self.version > 1) {
            object["certificate"] = certificate.clone();
        }
        object
    }

    /// Returns the ID of the writer as which it signs.
    #[must_use]
    pub fn writer(&self) -> String {
        writer_id(self.signing.verifying_key().as_bytes())
    }
}

/// Replaces members of `object` by those of `change`.
fn merged(mut object: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().into_iter().flatten() {
        object[name] = value.clone();
    }
    object
}

/// Writes the text to sign: sorted members, no blanks.
fn canonical(value: &Value, out: &mut Vec<u8>) {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let mut members: Vec<_> = object.iter().filter(|(name, _)| *name != "signature").collect();
                members.sort_by_key(|(name, _)| *name);
                Value::Object(members.into_iter().map(|(n, v)| (n.clone(), sorted_inside(v))).collect())
            }
            other => other.clone(),
        }
    }
    fn sorted_inside(value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let mut members: Vec<_> = object.iter().collect();
                members.sort_by_key(|(name, _)| *name);
                let members = members.into_iter().map(|(n, v)| (n.clone(), sorted_inside(v)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted_inside).collect()),
            other => other.clone(),
        }
    }
    out.extend_from_slice(sorted(value).to_string().as_bytes());
}

/// Creates an index line for chunks of a pack: ID, offset, length of the frame, length.
#[must_use]
pub fn line(pack: &str, size: u64, chunks: &[(String, u64, u64, u64)]) -> Value {
    let chunks: Vec<Value> =
        chunks.iter().map(|(id, at, length, raw)| json!([id, at, length, raw])).collect();
    json!({"pack": pack, "size": size, "chunks": chunks})
}
