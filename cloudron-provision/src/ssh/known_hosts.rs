//! OpenSSH's known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Pure functions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::HostKey;

/// The state of one host key in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// A valid key of the host.
    Key(HostKey),
    /// A revoked key, which must not be trusted.
    Revoked(HostKey),
}

/// Returns all entries of a known_hosts file for a host and port. Lines that cannot be parsed, and those of certificate
/// authorities, are skipped.
pub fn lookup(text: &str, host: &str, port: u16) -> Vec<Known> {
    let host = host.to_lowercase();
    let name = if port == 22 { host } else { format!("[{host}]:{port}") };
    text.lines().filter_map(|line| entry(line.trim(), &name)).collect()
}

/// Returns the keys that a known_hosts file marks as revoked, for any host: a compromised key is not trusted for any
/// host.
pub fn revoked(text: &str) -> Vec<HostKey> {
    let marked = text.lines().filter_map(|line| line.trim().strip_prefix("@revoked"));
    marked.filter_map(|rest| rest.trim_start().split_once(char::is_whitespace)?.1.parse().ok()).collect()
}

fn entry(line: &str, name: &str) -> Option<Known> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (marker, line) = match line.strip_prefix('@') {
        Some(rest) => rest.split_once(char::is_whitespace)?,
        None => ("", line),
    };
    let (hosts, key) = line.trim_start().split_once(char::is_whitespace)?;
    if !matches(hosts, name) {
        return None;
    }
    let key: HostKey = key.parse().ok()?;
    match marker {
        "" => Some(Known::Key(key)),
        "revoked" => Some(Known::Revoked(key)),
        _ => None,
    }
}

fn matches(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return matches_hash(hashed, name).unwrap_or(false);
    }
    let mut found = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if glob(&pattern.to_lowercase(), name) => return false,
            Some(_) => {}
            None => found |= glob(&pattern.to_lowercase(), name),
        }
    }
    found
}

/// Compares a name with `SALT|HASH`, where HASH is the HMAC-SHA-1 of the name with the salt, both in base64.
fn matches_hash(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    Some(hmac_sha1(&salt, name.as_bytes()) == hash)
}

/// Computes an HMAC (RFC 2104) with SHA-1. No security depends on it here.
fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length is one");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// Matches a pattern in which `*` stands for any text and `?` for one character.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    fn found(line: &str, host: &str, port: u16) -> bool {
        !lookup(line, host, port).is_empty()
    }

    #[test]
    fn names_lists_patterns_and_ports_are_matched() {
        assert!(found(&format!("example.com,192.0.2.7 {KEY} comment"), "192.0.2.7", 22));
        assert!(found(&format!("Example.com {KEY}"), "EXAMPLE.com", 22));
        assert!(found(&format!("[example.com]:202 {KEY}"), "example.com", 202));
        assert!(!found(&format!("example.com {KEY}"), "example.com", 202));
        assert!(!found(&format!("[example.com]:202 {KEY}"), "example.com", 22));
        assert!(found(&format!("*.example.com,!b.example.com {KEY}"), "a.example.com", 22));
        assert!(!found(&format!("*.example.com,!b.example.com {KEY}"), "b.example.com", 22));
    }

    #[test]
    fn a_hashed_name_is_recognised() {
        // Written by `ssh-keygen -H` for example.com.
        let hash = STANDARD.encode(hmac_sha1(b"12345678901234567890", b"[example.com]:202"));
        let line = format!("|1|{}|{hash} {KEY}", STANDARD.encode(b"12345678901234567890"));
        assert!(found(&line, "example.com", 202));
        assert!(!found(&line, "example.org", 202));
    }

    #[test]
    fn the_hmac_is_that_of_rfc_2202() {
        assert_eq!(
            hex::encode(hmac_sha1(b"Jefe", b"what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert_eq!(
            hex::encode(hmac_sha1(&[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First")),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112"
        );
    }

    #[test]
    fn revoked_keys_are_told_apart_and_nonsense_is_passed_over() {
        let text = format!(
            "# c\n\nnonsense\n@revoked example.com {KEY}\n@cert-authority * {KEY}\nexample.com ssh-x !!\n"
        );
        let key = KEY.parse().unwrap();
        assert_eq!(lookup(&text, "example.com", 22), [Known::Revoked(key)]);
        assert_eq!(revoked(&text), [KEY.parse().unwrap()]);
    }

    #[test]
    fn entries_that_ssh_keygen_hashed_are_recognised() {
        let Ok(folder) = tempfile::tempdir() else { return };
        let file = folder.path().join("known_hosts");
        std::fs::write(&file, format!("example.com {KEY}\n[example.com]:202 {KEY}\n")).unwrap();
        let hashed = std::process::Command::new("ssh-keygen").arg("-Hf").arg(&file).output();
        if !hashed.is_ok_and(|o| o.status.success()) {
            return;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("|1|"));
        assert_eq!(lookup(&text, "example.com", 22).len(), 1);
        assert_eq!(lookup(&text, "example.com", 202).len(), 1);
        assert!(lookup(&text, "example.org", 22).is_empty());
    }
}
