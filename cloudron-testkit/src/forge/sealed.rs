//! Encrypted objects: packs, index objects, condemned records, manifests, wrapped keys.

use ed25519_dalek::Signer as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Forge, Object, hash};

/// Creates a chunk in the form of a pack: a zstd frame of raw blocks (RFC 8878, section 3.1.1).
#[must_use]
pub fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend_from_slice(&(content.len() as u32).to_le_bytes());
    let blocks: Vec<&[u8]> = if content.is_empty() { vec![&[]] } else { content.chunks(128 << 10).collect() };
    for (n, block) in blocks.iter().enumerate() {
        let header = (block.len() as u32) << 3 | u32::from(n + 1 == blocks.len());
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 3).expect("compressing into memory works")
}

/// Compresses that many megabytes of blanks: a few hundred bytes per megabyte.
fn bomb(megabytes: usize) -> Vec<u8> {
    let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("zstd works");
    for _ in 0..megabytes {
        std::io::Write::write_all(&mut writer, &[b' '; 1 << 20]).expect("compressing into memory works");
    }
    writer.finish().expect("compressing into memory works")
}

fn text(lines: &[Value]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

impl Forge {
    /// Creates a pack from these frames, or from any other data.
    #[must_use]
    pub fn pack(&self, plain: &[u8]) -> Object {
        let object = self.seal(plain, false);
        let id = hash(&object);
        (format!("packs/{}/{id}.age", &id[..2]), object)
    }

    /// Creates an object of the index or of `condemned`, with signed lines.
    #[must_use]
    pub fn index(&self, kind: &str, lines: &[Value]) -> Object {
        let mut plain = Vec::new();
        if self.version > 1 {
            let header = json!({"index": self.version, "kind": kind, "repository": self.repository});
            plain.extend(text(&[self.certified(header)]));
        }
        plain.extend(text(lines));
        if self.version > 1 {
            let signed = [b"cloudron-backup index v2\n", &Sha256::digest(&plain)[..]].concat();
            let signature = hex::encode(self.signing.sign(&signed).to_bytes());
            plain.extend(text(&[json!({"signature": signature})]));
        }
        self.index_of(kind, &compressed(&plain))
    }

    /// Creates an object of the index or of `condemned`, with any content.
    #[must_use]
    pub fn index_of(&self, kind: &str, packed: &[u8]) -> Object {
        let object = self.seal(packed, true);
        (format!("{kind}/{}.age", hash(&object)), object)
    }

    /// Creates one that unpacks to that many megabytes.
    #[must_use]
    pub fn index_bomb(&self, kind: &str, megabytes: usize) -> Object {
        self.index_of(kind, &bomb(megabytes))
    }

    /// Creates the encrypted manifest of a backup with these entries.
    #[must_use]
    pub fn manifest(&self, id: &str, sources: &Value, entries: &[Value]) -> Vec<u8> {
        let mut lines = vec![
            json!({"manifest": self.version, "id": id, "repository": self.repository, "sources": sources}),
        ];
        lines.extend_from_slice(entries);
        lines.push(json!({"type": "end", "entries": entries.len()}));
        // `type` first, then `path`, as a writer puts them, matters to `recover.sh` only.
        self.seal(&compressed(&text(&lines)), false)
    }

    /// Creates an encrypted manifest that unpacks to that many megabytes.
    #[must_use]
    pub fn manifest_bomb(&self, megabytes: usize) -> Vec<u8> {
        self.seal(&bomb(megabytes), false)
    }

    /// Creates an entry of a file with one chunk, and the frame of that chunk.
    #[must_use]
    pub fn file(&self, path: &str, content: &[u8]) -> (Value, Vec<u8>) {
        let entry = json!({
            "type": "file", "path": path, "mode": 0o644, "mtime": [1_764_000_000, 0], "size": content.len(),
            "sha256": hash(content), "extents": [[self.chunk_id(content), content.len()]],
        });
        (entry, frame(content))
    }

    /// Creates an object `keys/…` with that work factor, which no passphrase opens.
    #[must_use]
    pub fn wrapped_key(&self, name: &str, work_factor: u8, salt: u64) -> Object {
        use base64::Engine as _;
        let text = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
        let seed = Sha256::digest(salt.to_le_bytes());
        let (salt, body) = (text(&seed[..16]), text(&seed));
        let mac = text(&Sha256::digest(seed));
        let mut object =
            format!("age-encryption.org/v1\n-> scrypt {salt} {work_factor}\n{body}\n--- {mac}\n")
                .into_bytes();
        object.extend_from_slice(&[0x55; 200]);
        (format!("keys/{name}-{}.age", &hash(&object)[..16]), object)
    }
}
