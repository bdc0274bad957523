//! DKIM keys.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::require;
use serde_json::{Value, json};

use crate::host::Host;

const MACHINE: [&str; 5] = ["example.com", "--machine", "--ip", "192.0.2.1", "--mail"];

#[test]
fn a_key_is_made_once_for_its_owner_only_and_its_record_fits() {
    let host = Host::new();
    let made = host.home.run(&["dns", "dkim-key", "example.com", "--out", "mail.pem"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let pem = std::fs::read_to_string(host.home.path("mail.pem")).unwrap();
    let mode = std::fs::metadata(host.home.path("mail.pem")).unwrap().permissions().mode();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && mode & 0o777 == 0o600, "{mode:o}");
    let private = Canary::new().secret("key", pem.lines().nth(3).unwrap());
    assert_none(&private.in_bytes("output", format!("{}{}", made.stdout, made.stderr).as_bytes()));
    let selector = made.stdout.split('.').next().unwrap();
    assert!(selector.len() == 7 && selector.starts_with("c20"), "{selector}");

    let again = host.home.run(&["dns", "dkim-key", "example.com", "--out", "mail.pem"]);
    again.failed(5, "output-exists", "mail.pem");
    assert_eq!(std::fs::read_to_string(host.home.path("mail.pem")).unwrap(), pem);

    let dkim = format!("{selector}=file:mail.pem");
    let plan = host.run(&[&["plan"], &MACHINE[..], &["--dkim", &dkim]].concat());
    assert!(plan.stdout.contains(&format!("+ {}", made.stdout)), "{}\n{}", plan.stdout, made.stdout);
    assert_none(&private.in_bytes("output", format!("{}{}", plan.stdout, plan.stderr).as_bytes()));

    let Some(openssl) = require::tool("openssl") else { return };
    let mut public = Command::new(openssl);
    let public =
        public.args(["rsa", "-in", "mail.pem", "-pubout"]).current_dir(host.home.dir()).output().unwrap();
    let text = String::from_utf8(public.stdout).unwrap();
    let key: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(made.stdout.replace("\" \"", "").contains(&format!("p={key}\"")), "{}", made.stdout);
}

#[test]
fn a_key_that_cannot_be_written_whole_is_not_there_at_all() {
    let host = Host::new();
    let command = host.home.command();
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]).arg(command.get_program());
    limited.args(["dns", "dkim-key", "example.com", "--out", "mail.pem"]).current_dir(host.home.dir());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = limited.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("mail.pem: File too large"), "{text}");
    assert!(!host.home.path("mail.pem").exists());
}

#[test]
fn what_is_printed_as_json_is_taken_as_records() {
    let host = Host::new();
    let made = ["dns", "dkim-key", "example.com", "-o", "k.pem", "--selector", "mail", "--output", "json"];
    let text = host.home.ok(&made);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["key"], json!({ "selector": "mail", "file": "k.pem", "bits": 2048 }));
    host.file("json", &text);
    host.ok(&["apply", "example.com", "--records", "json", "--yes"]);
    assert!(host.data("TXT", "mail._domainkey")[0].starts_with("v=DKIM1; k=rsa; p=MIIB"));
}

#[test]
fn what_is_no_key_is_refused_and_never_shown() {
    let host = Host::new();
    host.home.ok(&["dns", "dkim-key", "example.com", "--out", "mail.pem"]);
    let pem = std::fs::read_to_string(host.home.path("mail.pem")).unwrap();
    let inner: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let plan = |dkim: &str| host.run(&[&["plan"], &MACHINE[..], &["--dkim", dkim]].concat());
    for private in [&pem, &inner] {
        let run = plan(&format!("mail={private}"));
        run.failed(2, "dns-dkim", "file:PATH");
        assert!(!run.stderr.contains(&inner[40..80]), "{}", run.stderr);
    }
    host.file("empty", "");
    host.file("text", "no key\n");
    plan("mail=AAAA").failed(2, "dns-dkim", "no public RSA key");
    plan("mail=file:text").failed(2, "dns-dkim", "no RSA key in PEM");
    plan("mail=file:empty").failed(2, "secret-ref", "empty");
    plan("mail=file:nowhere").failed(3, "file-missing", "nowhere");
    plan("mail").failed(2, "usage", "SELECTOR=file:PATH");
    for selector in ["..", &"x".repeat(64)] {
        let run =
            host.home.run(&["dns", "dkim-key", "example.com", "-o", "other.pem", "--selector", selector]);
        run.failed(2, "dns-name", "");
        assert!(!host.home.path("other.pem").exists());
    }
}
