//! Invalid input gets a clear error and the right exit code, and has no effect.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cloudron_testkit::require;
use common::Home;

fn create_local(home: &Home, fqdn: &str) -> common::Run {
    home.run(&["machine", "create", "local", &format!("--fqdn={fqdn}")])
}

fn nothing_was_made(home: &Home) {
    let state = home.path(".local/state/cloudron/local");
    assert!(!state.exists() || std::fs::read_dir(state).unwrap().next().is_none());
    assert_eq!(home.json(&["machine", "list"])["machines"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_no_domain_is_refused_with_the_reason() {
    let home = Home::new();
    let long = format!("{}.com", "a".repeat(296));
    for (fqdn, code, text) in [
        ("", "domain-invalid", "it is empty"),
        (long.as_str(), "domain-invalid", "longer than 253"),
        ("example", "domain-suffix", "single label"),
        ("co.uk", "domain-suffix", "public suffix"),
        ("cloudron.example.com", "domain-sublevel", "--allow-subdomain"),
        ("exa mple.com", "domain-invalid", "' '"),
        ("192.0.2.1", "domain-invalid", "IP address"),
        ("2001:db8::1", "domain-invalid", "IP address"),
        ("-a.com", "domain-invalid", "-a.com"),
    ] {
        create_local(&home, fqdn).failed(2, code, text);
    }
    nothing_was_made(&home);
}

#[test]
fn a_setup_script_that_cannot_be_trusted_is_refused_and_one_that_fails_undoes_the_machine() {
    let home = Home::new();
    let create = |script: &str| home.create("demo.localhost", &["--setup-script", script]);
    create("http://192.0.2.1/x.sh").failed(2, "setup-script-invalid", "https");
    create("https://example.com/x.sh?key=canary").failed(2, "setup-script-invalid", "--setup-script");
    create("/nowhere/x.sh").failed(3, "file-missing", "/nowhere/x.sh");
    let path = home.path("x.sh");
    std::fs::write(&path, "no script\n").unwrap();
    create(path.to_str().unwrap()).failed(2, "setup-script-invalid", "#!");
    std::fs::write(&path, "#!/bin/sh\necho lamp is off >&2\nexit 3\n").unwrap();
    let run = create(path.to_str().unwrap());
    run.failed(1, "setup-script", "lamp is off");
    assert!(run.stderr.contains("(SHA-256 "), "{}", run.stderr);
    nothing_was_made(&home);
    std::fs::write(&path, "#!/bin/sh\nexec \"$@\"\n").unwrap();
    assert_eq!(create(path.to_str().unwrap()).code, 0);
}

#[test]
fn options_that_are_unknown_missing_or_contradict_are_a_usage_error() {
    let home = Home::new();
    for arguments in [
        &["machine", "create", "local", "--fqdn", "example.com", "--frobnicate"][..],
        &["machine", "create", "local"],
        &["machine", "create", "nowhere", "--fqdn", "example.com"],
        &["machine", "create", "generic", "--fqdn", "example.com", "--ip", "not-an-address"],
        &["machine", "create", "generic", "--fqdn", "example.com"],
        &["machine", "create", "local", "--fqdn", "example.com", "--port", "70000"],
        &["machine", "create", "local", "--fqdn", "example.com", "--overwrite"],
        &["machine", "create", "local", "--fqdn", "example.com", "--admin-email", "a@example.com"],
        &["machine", "backup", "download", "example.com"],
        &["machine", "logs", "example.com", "--lines", "10001"],
        &["frobnicate"],
        &["machine", "list", "--output", "yaml"],
    ] {
        let run = home.run(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty());
    }
    home.create("example.com", &["--include", "relative/path"]).failed(2, "usage", "not an absolute path");
    nothing_was_made(&home);
}

#[test]
fn a_weak_or_missing_backup_key_is_refused_before_anything_is_made() {
    let home = Home::new();
    std::fs::write(home.path("short"), "elevenchars\n").unwrap();
    let create = |key: &str| {
        home.run(&["machine", "create", "local", "--fqdn", "demo.localhost", "--backup-key", key])
    };
    create("file:short").failed(2, "backup-key-weak", "12 characters");
    create("file:missing").failed(3, "file-missing", "missing");
    create("env:CLOUDRON_NOT_SET").failed(2, "secret-ref", "not set");
    create("cmd:exit 7").failed(1, "secret-command", "exit status: 7");
    create("-").failed(2, "secret-ref", "empty");
    nothing_was_made(&home);
}

#[test]
fn a_restore_from_nothing_or_from_rubbish_is_refused_before_anything_is_made() {
    let home = Home::new();
    home.create("demo.localhost", &["--backup", "latest"]).failed(3, "repository-missing", "--store");
    std::fs::create_dir(home.path("store")).unwrap();
    std::fs::write(home.path("store/cloudron-backup.json"), "{ not json").unwrap();
    home.create("demo.localhost", &["--backup", "latest", "--store", "store"]).failed(
        6,
        "repository-corrupt",
        "",
    );
    home.run(&["machine", "backup", "list", "demo.localhost", "--store", "store"]).failed(
        6,
        "repository-corrupt",
        "",
    );
    home.run(&["machine", "backup", "list", "demo.localhost", "--store", "ftp://x"]).failed(
        2,
        "store-url",
        "ftp",
    );
    nothing_was_made(&home);
}

#[test]
fn a_machine_that_nobody_knows_is_not_found() {
    let home = Home::new();
    for command in ["status", "eventlog", "logs", "ssh", "start", "setup-link", "destroy"] {
        home.run(&["machine", command, "example.com"]).failed(3, "machine-unknown", "machine list");
    }
}

#[test]
fn a_port_that_is_taken_is_a_conflict_and_leaves_nothing() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    home.create("demo.localhost", &["--port", &port]).failed(5, "port-in-use", &port);
    nothing_was_made(&home);
}

fn create_generic(home: &Home, more: &[&str]) -> common::Run {
    let base =
        ["machine", "create", "generic", "--fqdn", "example.com", "--ip", "127.0.0.1", "--dns", "none"];
    home.run(&[&base, &["--backup-key", "file:key"][..], more].concat())
}

fn keygen(home: &Home, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
        .arg(home.path("k"))
        .status()
        .unwrap();
    assert!(made.success());
}

#[test]
fn a_key_that_is_missing_readable_by_others_or_locked_is_refused() {
    let home = Home::new();
    create_generic(&home, &["--ssh-key", "nowhere"]).failed(3, "ssh-key-missing", "nowhere");
    if require::tool("ssh-keygen").is_none() {
        return;
    }
    keygen(&home, "canary passphrase");
    create_generic(&home, &["--ssh-key", "./k"]).failed(4, "ssh-key-encrypted", "ssh-add");
    std::fs::set_permissions(home.path("k"), std::fs::Permissions::from_mode(0o644)).unwrap();
    create_generic(&home, &["--ssh-key", "./k"]).failed(4, "ssh-key-mode", "chmod 600");
    nothing_was_made(&home);
}

#[test]
fn a_server_that_refuses_or_never_answers_is_given_up_in_time() {
    if require::tool("ssh-keygen").is_none() {
        return;
    }
    let home = Home::new();
    keygen(&home, "");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let key = ["--ssh-key", "./k", "--connect-timeout", "2"];
    let start = std::time::Instant::now();
    create_generic(&home, &[&key[..], &["--ssh-port", &port]].concat()).failed(8, "ssh-timeout", "2 s");
    assert!(start.elapsed().as_secs() < 20);
    drop(silent);
    create_generic(&home, &[&key[..], &["--ssh-port", &port]].concat()).failed(7, "ssh-refused", "refused");
    nothing_was_made(&home);
}
