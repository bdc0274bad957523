//! The host key for the first contact.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloudron_core::{Secret, random};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::ssh::HostKey;

/// An ed25519 host key that is given to a machine for its first boot, and replaced within the first session.
///
/// Its private half is only in user-data; nothing else stores it.
#[derive(Debug)]
pub struct OneTimeKey {
    private: Secret,
    public: HostKey,
}

impl OneTimeKey {
    /// Makes a new key.
    ///
    /// # Panics
    /// If the operating system provides no randomness.
    pub fn generate() -> Self {
        let seed = Zeroizing::new(random::bytes::<32>());
        let signing = SigningKey::from_bytes(&seed);
        let public = signing.verifying_key().to_bytes();
        let blob = [field(b"ssh-ed25519"), field(&public)].concat();
        let private = Secret::new(&*open_ssh(&seed, &public, &blob));
        let public = HostKey::from_blob(&blob).expect("it begins with the algorithm's name");
        Self { private, public }
    }

    /// Returns the private half in the format of OpenSSH's files.
    pub fn private(&self) -> &Secret {
        &self.private
    }

    /// Returns the public half.
    pub fn public(&self) -> &HostKey {
        &self.public
    }
}

fn field(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// Writes a private key without encryption (OpenSSH's PROTOCOL.key).
fn open_ssh(seed: &[u8; 32], public: &[u8; 32], blob: &[u8]) -> Zeroizing<String> {
    let pair = Zeroizing::new([&seed[..], public].concat());
    let check = random::bytes::<4>();
    let mut private = Zeroizing::new(
        [
            &check[..],
            &check,
            &field(b"ssh-ed25519"),
            &field(public),
            &Zeroizing::new(field(&pair)),
            &field(b""),
        ]
        .concat(),
    );
    for n in 1.. {
        if private.len() % 8 == 0 {
            break;
        }
        private.push(n);
    }
    let head =
        [&b"openssh-key-v1\0"[..], &field(b"none"), &field(b"none"), &field(b""), &1_u32.to_be_bytes()];
    let raw = Zeroizing::new([head.concat(), field(blob), field(&private)].concat());
    let body = Zeroizing::new(STANDARD.encode(&*raw));
    let mut text = Zeroizing::new(String::from("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
    for line in body.as_bytes().chunks(70) {
        text.push_str(std::str::from_utf8(line).expect("base 64 is ASCII"));
        text.push('\n');
    }
    text.push_str("-----END OPENSSH PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use cloudron_testkit::require;

    use super::*;

    #[test]
    fn the_key_is_one_that_openssh_reads() {
        let Some(keygen) = require::tool("ssh-keygen") else { return };
        let key = OneTimeKey::generate();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, key.private().expose()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let output = std::process::Command::new(keygen).args(["-y", "-f"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).parse::<HostKey>().unwrap(), *key.public());
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
}
