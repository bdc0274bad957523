//! The names of what a machine has at a cloud, and texts of a cloud for display.

use cloudron_core::{Error, Result, escape};
use sha2::{Digest, Sha256};

use super::{Marks, codes};
use crate::ssh::HostKey;

/// The most characters of a text that a cloud answered.
const SHOWN: usize = 260;

/// Returns the name of a machine, which is that of its website.
pub fn machine(fqdn: &str) -> String {
    format!("my.{fqdn}")
}

/// Returns the name of everything else that a machine has, with at most so many characters.
pub fn parts(fqdn: &str, most: usize) -> String {
    let name = format!("cloudron-{fqdn}");
    if name.len() <= most { name } else { format!("cloudron-{}", short(fqdn.as_bytes(), 32)) }
}

/// Returns the first characters of a hash, in hexadecimal.
pub fn short(bytes: &[u8], length: usize) -> String {
    hex::encode(Sha256::digest(bytes))[..length].to_owned()
}

/// Returns a text of the cloud's for display: one line, of limited length.
pub fn shown(text: &str) -> String {
    escape::line(text).chars().take(SHOWN).collect()
}

/// Returns the error for something in the way that another run made, or somebody else.
pub fn foreign(kind: &str, name: &str, marks: Option<&Marks>) -> Error {
    let name = shown(name);
    let message = match marks {
        Some(marks) => format!("the {kind} {name} was made by run {} of {}", marks.run, marks.fqdn),
        None => format!("the {kind} {name} exists and was not made by this program"),
    };
    Error::new(&crate::codes::STEP_FOREIGN, message)
}

/// Parses the public key that is to be let in.
///
/// # Errors
/// `cloud-settings` unless it is one line of the form `ssh-ed25519 AAAA…`.
pub fn public_key(text: &str) -> Result<HostKey> {
    let one = if text.lines().count() == 1 { text } else { "" };
    one.parse().map_err(|_| {
        Error::new(&codes::SETTINGS, "the public key is not one line of the form `ssh-ed25519 AAAA…`")
    })
}

/// Returns the key itself of a public key, in base 64.
pub fn key_body(public_key: &str) -> &str {
    public_key.split_whitespace().nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_whatever_the_domain() {
        assert_eq!(parts("example.com", 128), "cloudron-example.com");
        let long = [&"a".repeat(60)[..]; 4].join(".");
        assert!(parts(&long, 128).len() <= 128);
        assert_ne!(parts(&long, 128), parts(&format!("b.{long}"), 128));
        assert_eq!(parts(&long, 255), format!("cloudron-{long}"));
    }

    #[test]
    fn a_public_key_is_one_line_and_no_private_one() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        assert!(public_key(&format!("{key} me\n")).is_ok());
        assert_eq!(key_body(key).len(), 68);
        for bad in ["", "\n", "ssh-ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----", &format!("{key}\n{key}")]
        {
            assert!(public_key(bad).unwrap_err().is(&codes::SETTINGS), "{bad}");
        }
    }
}
