//! Certificates of writers: the owner's statement that a key may sign backups, with limits.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use cloudron_core::{Error, Result};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::codes;
use crate::keys::sign;

/// The start of the signed text.
const SIGNED: &[u8] = b"cloudron-backup certificate v2\n";
/// The longest name of a writer, in characters.
const MAX_NAME: usize = 253;

/// The id of a writer: the first eight bytes of the SHA-256 of its public key, in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterId([u8; 8]);

impl WriterId {
    /// Returns the id of the writer with this public key.
    pub(crate) fn of(key: &VerifyingKey) -> Self {
        let hash = Sha256::digest(key.as_bytes());
        Self(hash[..8].try_into().expect("a SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WriterId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut id = [0; 8];
        let invalid = |_| Error::new(&codes::WRITER_UNKNOWN, format!("{text:?} is not the id of a writer"));
        hex::decode_to_slice(text, &mut id).map_err(invalid)?;
        Ok(Self(id))
    }
}

impl Serialize for WriterId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WriterId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The limits of a writer. `None` means no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterLimits {
    /// The domain of its backups.
    pub fqdn: Option<String>,
    /// The host of its backups.
    pub host: Option<String>,
    /// The folders of its backups: each source is one of these or lies below one.
    pub paths: Option<Vec<String>>,
}

impl WriterLimits {
    /// Creates the limits for a machine that serves this domain.
    pub fn of_domain(fqdn: impl Into<String>) -> Self {
        Self { fqdn: Some(fqdn.into()), ..Self::default() }
    }
}

/// The certificate of a writer, signed by the owner of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    certificate: u32,
    /// The name of the writer.
    pub name: String,
    /// Its public key, ed25519, in hex.
    pub key: String,
    /// The domain of its backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// The host of its backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The folders of its backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// The signature, and unknown fields of later versions.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl Certificate {
    /// Certifies a key.
    pub(crate) fn new(name: &str, key: &VerifyingKey, limits: &WriterLimits, owner: &SigningKey) -> Self {
        let unsigned = Self {
            certificate: 1,
            name: name.to_owned(),
            key: hex::encode(key.as_bytes()),
            fqdn: limits.fqdn.clone(),
            host: limits.host.clone(),
            paths: limits.paths.clone(),
            rest: BTreeMap::new(),
        };
        let signed = sign::signed(&unsigned, SIGNED, owner);
        serde_json::from_value(signed).expect("a certificate reads what it wrote")
    }

    /// Returns the certificate in a value, if the owner signed it.
    pub(crate) fn check(value: &Value, owner: &VerifyingKey) -> Option<Self> {
        let certificate: Self = serde_json::from_value(value.clone()).ok()?;
        let known = certificate.certificate == 1 && certificate.key().is_some();
        (known && sign::is_signed(value, SIGNED, owner)).then_some(certificate)
    }

    fn key(&self) -> Option<VerifyingKey> {
        crate::keys::sign::verifying_key(&self.key)
    }

    /// Returns the id of the writer.
    pub fn writer(&self) -> WriterId {
        // `new` and `check` accept no certificate without a valid key.
        self.key().map_or(WriterId([0; 8]), |key| WriterId::of(&key))
    }

    /// Returns the content of the object.
    pub(crate) fn object(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("a certificate is plain JSON");
        text.push(b'\n');
        text
    }
}

/// Checks the name of a writer.
///
/// # Errors
/// `writer-name`.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if plain && !name.is_empty() && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(Error::new(&codes::WRITER_NAME, format!("{name:?} cannot be the name of a writer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    #[test]
    fn a_certificate_counts_only_as_the_owner_signed_it() {
        let limits =
            WriterLimits { paths: Some(vec!["/srv".into()]), ..WriterLimits::of_domain("example.com") };
        let certificate = Certificate::new("web", &key(2).verifying_key(), &limits, &key(1));
        let value = serde_json::to_value(&certificate).unwrap();
        let owner = key(1).verifying_key();
        assert_eq!(Certificate::check(&value, &owner), Some(certificate.clone()));
        assert_eq!(Certificate::check(&value, &key(3).verifying_key()), None);
        assert_eq!(certificate.writer(), WriterId::of(&key(2).verifying_key()));
        for (member, other) in [("fqdn", "other.com"), ("key", &hex::encode([7; 32])), ("name", "x")] {
            let mut changed = value.clone();
            changed[member] = other.into();
            assert_eq!(Certificate::check(&changed, &owner), None, "{member}");
        }
        let mut unlimited = value;
        unlimited.as_object_mut().unwrap().remove("paths");
        assert_eq!(Certificate::check(&unlimited, &owner), None);
    }
}
