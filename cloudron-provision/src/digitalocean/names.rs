//! The names of what has no tags of its own.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::cloud::{Marks, names};

/// The most characters of a name.
const NAME: usize = 128;

/// Returns the name of a machine's firewall. It is unique in an account.
pub(super) fn firewall(fqdn: &str) -> String {
    names::parts(fqdn, NAME)
}

/// Returns the name of the SSH key that a run adds to the account: the machine, the run, and the hash of the key.
pub(super) fn key(marks: &Marks, body: &str) -> String {
    format!("{}-{}-{}", firewall(&marks.fqdn), marks.run, names::short(body.as_bytes(), 12))
}

/// Returns the marks that the name of a key is made of; none unless it is exactly the name that a run for that machine
/// gives to that key.
pub(super) fn marks_of_key(fqdn: &str, name: &str, public_key: &str) -> Option<Marks> {
    let run = name.strip_prefix(&firewall(fqdn))?.strip_prefix('-')?.split('-').next()?;
    let marks = Marks::new(fqdn, run).ok()?;
    (key(&marks, names::key_body(public_key)) == name).then_some(marks)
}

/// Returns the fingerprint by which DigitalOcean finds a key: MD5, in hex with colons.
pub(super) fn fingerprint(public_key: &str) -> String {
    let blob = STANDARD.decode(names::key_body(public_key)).unwrap_or_default();
    let bytes: Vec<String> = Md5::digest(&blob).iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

/// Returns the tag of a droplet that is to have a reserved address.
pub(super) fn reserved_word(run: &str) -> String {
    format!("cloudron:reserved-ip:{run}")
}

/// Returns the tag of a droplet for which that address was reserved.
pub(super) fn address_word(run: &str, ip: Ipv4Addr) -> String {
    format!("{}:{}", reserved_word(run), ip.to_string().replace('.', "-"))
}

/// Returns the run in a tag that belongs to one droplet, besides the one that names the machine.
pub(super) fn run_of_word(word: &str) -> Option<&str> {
    let words: Vec<&str> = word.split(':').collect();
    match words[..] {
        ["cloudron", "one-time-key" | "host-key" | "reserved-ip", run, _]
        | ["cloudron", "reserved-ip", run] => Some(run),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn only_the_exact_name_of_a_key_says_whose_it_is() {
        let run = ulid::Ulid::generate().to_string();
        let marks = Marks::new("shop.example.com", &run).unwrap();
        let name = key(&marks, names::key_body(KEY));
        assert_eq!(marks_of_key("shop.example.com", &name, KEY), Some(marks));
        assert_eq!(marks_of_key("example.com", &name, KEY), None);
        assert_eq!(marks_of_key("shop.example.com", &name, "ssh-ed25519 AAAA"), None);
        for other in ["cloudron-shop.example.com", "work", &name[..name.len() - 1], &format!("{name}0")] {
            assert_eq!(marks_of_key("shop.example.com", other, KEY), None, "{other}");
        }
        assert!(fingerprint(KEY).len() == 47 && run_of_word(&reserved_word("x")) == Some("x"));
    }
}
