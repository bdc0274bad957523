//! Chunks: cutting, naming and framing.

pub(crate) mod cut;
pub(crate) mod frame;

use std::fmt;

use cloudron_core::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::codes;
use crate::runtime::Stop;

/// The name of a chunk: the keyed BLAKE3 hash of its content. Without the key, it reveals nothing about the content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChunkId(pub(crate) [u8; 32]);

/// Names chunks.
#[derive(Clone)]
pub(crate) struct ChunkNamer(Zeroizing<[u8; 32]>);

impl ChunkNamer {
    pub(crate) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    pub(crate) fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.0)
    }

    pub(crate) fn name(&self, content: &[u8]) -> ChunkId {
        ChunkId(*blake3::keyed_hash(&self.0, content).as_bytes())
    }
}

impl fmt::Debug for ChunkNamer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkNamer(…)")
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for ChunkId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut text = [0u8; 64];
        hex::encode_to_slice(self.0, &mut text).expect("64 digits for 32 bytes");
        serializer.serialize_str(std::str::from_utf8(&text).expect("hex is ASCII"))
    }
}

impl<'de> Deserialize<'de> for ChunkId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ChunkId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hex digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<ChunkId, E> {
                let mut id = [0; 32];
                hex::decode_to_slice(text, &mut id).map_err(E::custom)?;
                Ok(ChunkId(id))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Returns a part of a chunk.
pub(crate) fn slice(content: &[u8], offset: u32, length: u32) -> Result<&[u8]> {
    let end = (offset as usize).checked_add(length as usize);
    end.and_then(|end| content.get(offset as usize..end)).ok_or_else(|| {
        Error::new(&codes::SNAPSHOT_CORRUPT, "the manifest names a part of a chunk that lies behind its end")
    })
}

/// Hashes a hole of any length. All its zeros must be hashed; there is no shortcut.
pub(crate) fn hash_zeros(hash: &mut Sha256, mut length: u64, stop: &Stop) -> Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    while length > 0 {
        stop.check()?;
        let part = length.min(ZEROS.len() as u64);
        hash.update(&ZEROS[..part as usize]);
        length -= part;
    }
    Ok(())
}
