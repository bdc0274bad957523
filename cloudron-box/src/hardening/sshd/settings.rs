//! The text of the settings.

use crate::Result;
use crate::host::{Host, run};

/// Key exchanges, best first: those that a quantum computer does not break, then those on Curve25519, then large groups.
const KEX: [&str; 7] = [
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group16-sha512",
];

const CIPHERS: [&str; 6] = [
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
];

const MACS: [&str; 3] =
    ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "umac-128-etm@openssh.com"];

/// Kinds of host keys. Those on NIST's curves are left out; a client that knows only such a key asks once more.
const HOST_KEYS: [&str; 6] = [
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
];

/// The algorithms that this version of OpenSSH has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supported {
    kex: Vec<String>,
    ciphers: Vec<String>,
    macs: Vec<String>,
    host_keys: Vec<String>,
}

impl Supported {
    /// Asks the machine's OpenSSH.
    ///
    /// # Errors
    /// `file-missing` if `ssh` is not installed; `system-command`.
    pub fn by(host: &dyn Host) -> Result<Self> {
        let ask = |what: &str| -> Result<Vec<String>> {
            let text = run(host, "ssh", &["-Q", what], "")?;
            Ok(text.lines().map(|line| line.trim().to_owned()).collect())
        };
        Ok(Self {
            kex: ask("kex")?,
            ciphers: ask("cipher")?,
            macs: ask("mac")?,
            host_keys: ask("HostKeyAlgorithms")?,
        })
    }
}

/// Returns the settings, with the algorithms that this version has.
pub fn text(supported: &Supported) -> String {
    let mut text = String::from(
        "# Written by cloudron. This file comes before others, and the first value of a setting counts.

# Keys only. Root's keys still work: the machine is administered with them.
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
PermitEmptyPasswords no
PermitRootLogin prohibit-password

# Who does not log in soon is cut off, and many who try at once do not keep the owner out.
LoginGraceTime 30
MaxAuthTries 6
MaxStartups 30:30:100
PerSourceMaxStartups 10
PerSourceNetBlockSize 32:64
ClientAliveInterval 60
ClientAliveCountMax 5

X11Forwarding no
",
    );
    let lists: [(&str, &[&str], &[String]); 4] = [
        ("KexAlgorithms", &KEX, &supported.kex),
        ("Ciphers", &CIPHERS, &supported.ciphers),
        ("MACs", &MACS, &supported.macs),
        ("HostKeyAlgorithms", &HOST_KEYS, &supported.host_keys),
    ];
    text.push_str("\n# What this version of OpenSSH has of the present algorithms.\n");
    for (name, wanted, has) in lists {
        let both: Vec<&str> = wanted.iter().copied().filter(|w| has.iter().any(|h| h == w)).collect();
        // A version that has none of them keeps its own choice.
        if !both.is_empty() {
            text.push_str(&format!("{name} {}\n", both.join(",")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supported(kex: &[&str]) -> Supported {
        let all = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Supported { kex: all(kex), ciphers: all(&CIPHERS), macs: all(&MACS), host_keys: all(&HOST_KEYS) }
    }

    #[test]
    fn openssh_of_debian_12_gets_what_it_has() {
        // OpenSSH 9.2 has no ML-KEM.
        insta::assert_snapshot!(text(&supported(&[
            "diffie-hellman-group1-sha1",
            "diffie-hellman-group16-sha512",
            "ecdh-sha2-nistp256",
            "curve25519-sha256",
            "sntrup761x25519-sha512@openssh.com",
        ])));
    }

    #[test]
    fn a_present_version_offers_what_quantum_computers_do_not_break_first() {
        let text = text(&supported(&KEX));
        let line = text.lines().find(|line| line.starts_with("KexAlgorithms")).unwrap();
        assert!(line.starts_with("KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,"), "{line}");
        assert!(!text.contains("nistp") && !text.contains("sha1"));
    }

    #[test]
    fn a_version_without_any_of_them_keeps_its_own() {
        assert!(!text(&supported(&["of-the-future"])).contains("KexAlgorithms"));
    }
}
