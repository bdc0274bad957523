//! Keys that sign mail, made here and judged by OpenSSL's own command.

#![allow(missing_docs)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cloudron_core::Secret;
use cloudron_dns::codes;
use cloudron_dns::machine::{DkimKey, DkimRecord};
use cloudron_testkit::require;

/// Runs `openssl` with a text on its standard input.
fn openssl(tool: &Path, args: &[&str], input: &str) -> Vec<u8> {
    let mut command = Command::new(tool);
    let mut child = command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}");
    output.stdout
}

#[test]
fn a_new_key_has_2048_bits_and_openssl_agrees_with_both_halves() {
    let key = DkimKey::generate().unwrap();
    let record = DkimRecord::parse(format!("v=DKIM1; k=rsa; p={}", key.public_key()).as_bytes()).unwrap();
    assert_eq!((key.bits(), record.rsa_bits()), (2048, Some(2048)));
    assert!(record.is_key(&key.dkim("c202611")));
    assert!(!format!("{key:?}").contains("PRIVATE"), "the private half is shown");
    let Some(tool) = require::tool("openssl") else { return };
    let pem = key.private_pem().expose();
    let checked = openssl(&tool, &["rsa", "-check", "-noout"], pem);
    assert!(String::from_utf8_lossy(&checked).contains("RSA key ok"));
    let public = openssl(&tool, &["rsa", "-pubout", "-outform", "DER"], pem);
    assert_eq!(record.key, Some(public));
}

#[test]
fn a_given_key_is_read_and_what_is_none_is_refused() {
    let key = DkimKey::generate().unwrap();
    let read = DkimKey::from_pem(key.private_pem()).unwrap();
    assert_eq!((read.public_key(), read.private_pem()), (key.public_key(), key.private_pem()));
    let Some(tool) = require::tool("openssl") else { return };
    let old =
        String::from_utf8(openssl(&tool, &["rsa", "-traditional"], key.private_pem().expose())).unwrap();
    assert!(old.contains("BEGIN RSA PRIVATE KEY"));
    assert_eq!(DkimKey::from_pem(&Secret::new(old)).unwrap().public_key(), key.public_key());
    let short = String::from_utf8(openssl(&tool, &["genrsa", "512"], "")).unwrap();
    for (pem, says) in [("no key".to_owned(), "no RSA key"), (short, "512 bits")] {
        let error = DkimKey::from_pem(&Secret::new(pem)).unwrap_err();
        assert!(error.is(&codes::DKIM) && error.message().contains(says), "{error}");
    }
}
