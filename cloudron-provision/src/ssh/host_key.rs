//! Host keys, and the policies for trusting them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use cloudron_core::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codes;

/// A server's public key, written as in known_hosts: `ssh-ed25519 AAAA…`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostKey {
    algorithm: String,
    blob: Vec<u8>,
}

impl HostKey {
    /// Parses a key in wire format (RFC 4253, section 6.6), which begins with a length-prefixed algorithm name.
    ///
    /// # Errors
    /// `host-key-invalid` if it does not begin with such a name.
    pub fn from_blob(blob: &[u8]) -> Result<Self> {
        let invalid = || Error::new(&codes::HOST_KEY_INVALID, "not an SSH public key");
        let (length, rest) = blob.split_first_chunk::<4>().ok_or_else(invalid)?;
        let name = rest.get(..u32::from_be_bytes(*length) as usize).ok_or_else(invalid)?;
        let algorithm = std::str::from_utf8(name).map_err(|_| invalid())?;
        if algorithm.is_empty() || !algorithm.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(invalid());
        }
        Ok(Self { algorithm: algorithm.into(), blob: blob.to_vec() })
    }

    /// Returns the algorithm: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// Returns the fingerprint in the form of `ssh-keygen -l`: `SHA256:` and 43 characters.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, STANDARD.encode(&self.blob))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({} {})", self.algorithm, self.fingerprint())
    }
}

impl FromStr for HostKey {
    type Err = Error;

    /// Parses `ALGORITHM BASE64`; ignores what follows, such as a comment.
    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let invalid =
            || Error::new(&codes::HOST_KEY_INVALID, "not a public key of the form `ssh-ed25519 AAAA…`");
        let (Some(algorithm), Some(body)) = (words.next(), words.next()) else { return Err(invalid()) };
        let key = Self::from_blob(&STANDARD.decode(body).map_err(|_| invalid())?)?;
        if key.algorithm != algorithm {
            return Err(invalid());
        }
        Ok(key)
    }
}

impl TryFrom<String> for HostKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<HostKey> for String {
    fn from(key: HostKey) -> Self {
        key.to_string()
    }
}

/// The question to the user about an unknown host key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HostKeyQuestion {
    /// Name or address of the server.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// The key that the server presents.
    pub key: HostKey,
}

/// Asks the user whether a host key is correct. Called on a thread that may block.
pub type AskHostKey = Arc<dyn Fn(&HostKeyQuestion) -> bool + Send + Sync>;

/// The host keys that are trusted.
#[derive(Clone)]
pub enum HostKeyPolicy {
    /// Only these keys, recorded at the first contact.
    Pinned(Vec<HostKey>),
    /// The key with this fingerprint, `SHA256:…`, of any algorithm.
    Fingerprint(String),
    /// The keys in known_hosts. For a server that is not in it, the user is asked; without a way to ask, it is refused.
    KnownHostsThenAsk(Option<AskHostKey>),
}

impl HostKeyPolicy {
    /// Parses a fingerprint given by a user: `SHA256:` and 43 characters, with or without padding.
    ///
    /// # Errors
    /// `host-key-invalid`.
    pub fn fingerprint(text: &str) -> Result<Self> {
        let text = text.trim().trim_end_matches('=');
        let hash = text.strip_prefix("SHA256:").and_then(|h| STANDARD_NO_PAD.decode(h).ok());
        if hash.is_none_or(|h| h.len() != 32) {
            let message = format!("{text:?} is not a fingerprint of the form SHA256:…");
            return Err(Error::new(&codes::HOST_KEY_INVALID, message)
                .with_hint("`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the server prints it"));
        }
        Ok(Self::Fingerprint(text.into()))
    }
}

impl fmt::Debug for HostKeyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(keys) => f.debug_tuple("Pinned").field(keys).finish(),
            Self::Fingerprint(text) => f.debug_tuple("Fingerprint").field(text).finish(),
            Self::KnownHostsThenAsk(ask) => f.debug_tuple("KnownHostsThenAsk").field(&ask.is_some()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example key of the OpenSSH documentation's kind; its fingerprint was computed with `ssh-keygen -l`.
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn a_key_survives_being_written_and_read() {
        let key: HostKey = KEY.parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<HostKey>(&json).unwrap(), key);
    }

    #[test]
    fn the_fingerprint_is_that_of_ssh_keygen() {
        // GitHub's published ed25519 host key and fingerprint.
        let key: HostKey = KEY.parse().unwrap();
        assert_eq!(key.fingerprint(), "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
    }

    #[test]
    fn a_fingerprint_is_checked_for_its_form() {
        HostKeyPolicy::fingerprint("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU=").unwrap();
        for bad in ["", "SHA256:", "MD5:aa:bb", "SHA256:abc", "+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"] {
            assert!(HostKeyPolicy::fingerprint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn damaged_keys_are_refused() {
        for bad in ["", "ssh-ed25519", "ssh-ed25519 !", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMq", "x AAAA"] {
            assert!(bad.parse::<HostKey>().is_err(), "{bad}");
        }
    }
}
