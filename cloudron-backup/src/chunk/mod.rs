//! Chunks: how content is cut, named and stored.

pub(crate) mod cut;
pub(crate) mod frame;
pub(crate) mod scan;

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The name of a chunk: the keyed BLAKE3 hash of its content. It says nothing of the content to who does not
/// have the key.
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
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0u8; 64];
        hex::encode_to_slice(self.0, &mut text).expect("64 digits for 32 bytes");
        serializer.serialize_str(std::str::from_utf8(&text).expect("hex is ASCII"))
    }
}

impl<'de> Deserialize<'de> for ChunkId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ChunkId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hex digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ChunkId, E> {
                let mut id = [0; 32];
                hex::decode_to_slice(text, &mut id).map_err(E::custom)?;
                Ok(ChunkId(id))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
