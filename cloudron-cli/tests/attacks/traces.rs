//! `-v` and `DEBUG` trace the program's work without secrets.

use std::process::Command;
use std::time::Duration;

use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::moto::Moto;
use cloudron_testkit::named::Named;

use crate::common::{BACKUP_KEY, Home, Run};
use crate::{assert_clean, within};

const LIMIT: Duration = Duration::from_secs(180);
const PASSWORD: &str = "canary password 9 of the owner";
const ACCESS_KEY: &str = "canary-secret-access-key-of-the-bucket";
const SESSION: &str = "canary-session-token-of-the-bucket";
const TSIG: &str = "Y2FuYXJ5LXNlY3JldC1vZi10aGUta2V5";
const TOKEN: &str = "canary0token0of0the0dns0host";

fn canary() -> Canary {
    Canary::new()
        .secret("backup key", BACKUP_KEY)
        .secret("password", PASSWORD)
        .secret("access key", ACCESS_KEY)
        .secret("session token", SESSION)
        .secret("TSIG key", TSIG)
        .secret("token", TOKEN)
}

/// Runs a command with all traces. Returns the run.
#[track_caller]
fn traced(command: &mut Command, exit: i32) -> Run {
    let output = within(LIMIT, command.env("DEBUG", "*"));
    assert_clean("traces", &output);
    assert_none(&canary().in_bytes("stdout", &output.stdout));
    assert_none(&canary().in_bytes("stderr", &output.stderr));
    let run = Run::of(output);
    assert_eq!(run.code, exit, "{command:?}: {}{}", run.stdout, run.stderr);
    run
}

#[track_caller]
fn says(run: &Run, words: &[&str]) {
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in\n{}", run.stderr);
    }
}

#[test]
fn a_machine_and_its_backups_are_traced_without_a_secret() {
    let home = Home::new();
    std::fs::write(home.path("password"), PASSWORD).unwrap();
    let mut create = home.command();
    create.args(["machine", "create", "local", "--fqdn", "demo.localhost", "--backup-key", "file:key"]);
    create.args(["--admin-email", "me@example.com", "--admin-password", "file:password"]);
    let made = traced(&mut create, 0);
    says(&made, &["step{id=\"server\"}", "runs", "box install", "HTTP", "/api/v1/cloudron/status", "put"]);
    let mut again = home.command();
    again
        .args(["machine", "create", "local", "--fqdn", "other.localhost", "--backup-key", "env:K"])
        .env("K", BACKUP_KEY);
    let run = traced(&mut again, 0);
    // The setup link is printed only on standard output.
    let token = run.stdout.split("#setup=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_none(&Canary::new().secret("setup token", token).in_bytes("stderr", run.stderr.as_bytes()));

    let words = |line: &str| {
        let mut command = home.command();
        command.args(line.split(' '));
        command
    };
    for line in [
        "machine status demo.localhost",
        "machine list",
        "machine backup create demo.localhost",
        "machine backup list demo.localhost",
        "machine backup download demo.localhost --repository copy",
        "machine backup download demo.localhost --decrypt -o x.tar --backup-key file:key",
        "machine backup verify demo.localhost --full --backup-key file:key",
        "machine backup prune demo.localhost --keep-last 1 --backup-key file:key",
        "machine eventlog demo.localhost",
        "machine logs demo.localhost",
    ] {
        let run = traced(&mut words(line), 0);
        says(&run, &["HTTP"]);
        // Download addresses grant access.
        assert!(!run.stderr.contains("/download/") || run.stderr.contains("/download/…"), "{}", run.stderr);
        let permission = run.stderr.split("/download/").skip(1).find(|rest| !rest.starts_with('…'));
        assert!(permission.is_none(), "{}", run.stderr);
    }
    traced(&mut words("machine setup-link other.localhost"), 0);
    traced(&mut words("machine destroy demo.localhost --yes"), 0);
    // Wrong secrets are not printed either.
    std::fs::write(home.path("key"), PASSWORD).unwrap();
    traced(&mut words("machine backup verify other.localhost --full --backup-key file:key"), 3);
}

#[test]
fn a_bucket_is_traced_without_a_secret() {
    let Some(moto) = Moto::start() else { return };
    moto.request("s3", "PUT", "/bucket", &[], "");
    let home = Home::new();
    std::fs::create_dir(home.path("files")).unwrap();
    std::fs::write(home.path("files/note"), "remember").unwrap();
    for (line, said) in [
        ("backup init", "opens a store"),
        ("backup create files", "put_new"),
        ("backup list", "get"),
        ("backup restore latest --target t", "get_range"),
        ("backup prune --keep-last 1", "list"),
        ("policy lifecycle", "lifecycle"),
    ] {
        let mut command = home.command();
        command
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", ACCESS_KEY)
            .env("AWS_SESSION_TOKEN", SESSION)
            .env("CLOUDRON_BACKUP_STORE", "s3://bucket/home")
            .env("CLOUDRON_BACKUP_KEY_FILE", home.path("key"))
            .args(line.split(' '))
            .args(["--endpoint", &format!("s3={}", moto.endpoint())]);
        says(&traced(&mut command, 0), &[said]);
    }
}

#[test]
fn a_zone_is_traced_without_a_secret() {
    let key = format!("key laptop {{ algorithm hmac-sha256; secret \"{TSIG}\"; }};\n");
    let clauses = "type primary; allow-update { key laptop; }; allow-transfer { key laptop; };";
    let Some(server) = Named::start(&key, &[("example.com".into(), clauses.into())]) else { return };
    let home = Home::new();
    std::fs::write(home.path("tsig"), &key).unwrap();
    let server = server.address().to_string();
    for (line, words) in [
        ("plan example.com --machine --ip 192.0.2.1", &["a plan is made", "connecting"][..]),
        ("apply example.com --machine --ip 192.0.2.1 --yes", &["sends an update", "changes="]),
        ("export example.com", &["asks"]),
    ] {
        let mut command = home.command();
        command.arg("dns").args(line.split(' ')).args(["--provider", "rfc2136", "--server", &server]);
        command.args(["--tsig-key-file", "tsig"]);
        says(&traced(&mut command, 0), words);
    }
    let mut check = home.command();
    check.args(["dns", "check", "example.com", "--machine", "--ip", "192.0.2.1", "--name-server", &server]);
    says(&traced(&mut check, 0), &["DNS query"]);
    // A host with an API that refuses the request.
    let mut command = home.command();
    command.args([
        "dns",
        "plan",
        "example.com",
        "--machine",
        "--ip",
        "192.0.2.1",
        "--provider",
        "digitalocean",
    ]);
    command.env("DIGITALOCEAN_TOKEN", TOKEN).args(["--endpoint", "http://127.0.0.1:1"]);
    let run = within(LIMIT, command.env("DEBUG", "*"));
    assert_none(&canary().in_bytes("stderr", &run.stderr));
    let text = String::from_utf8(run.stderr).unwrap();
    assert!(text.contains("HTTP") && text.contains("trying again"), "{text}");
}

#[test]
fn nothing_is_traced_unless_it_is_asked_for_and_topics_choose() {
    let home = Home::new();
    std::fs::write(home.path("key"), crate::common::FAST_KEY).unwrap();
    let run = |debug: Option<&str>, more: &[&str]| {
        let mut command = home.command();
        command.args(["backup", "list", "--store", "store"]).args(more);
        if let Some(debug) = debug {
            command.env("DEBUG", debug);
        }
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    home.ok(&["backup", "init", "--store", "store", "--backup-key", "file:key"]);
    assert_eq!(run(None, &[]), "");
    assert_eq!(run(Some(""), &[]), "");
    assert!(run(None, &["-v"]).contains("opens a store"));
    assert!(!run(None, &["-v"]).contains("list:"), "operations are for -vv");
    assert!(run(None, &["-vv"]).contains("list:"));
    assert!(run(None, &["-vvv"]).contains("list:"));
    assert!(run(Some("*"), &[]).contains("list:"));
    assert!(run(Some("backup"), &[]).contains("list:"));
    assert_eq!(run(Some("dns"), &[]), "");
    assert_eq!(run(Some("*,-backup"), &[]), "");
}
