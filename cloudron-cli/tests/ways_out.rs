//! Hints of errors: the command in the hint is typed as printed, and solves the problem.

mod common;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cloudron_testkit::require;
use common::{Home, Run};
use serde_json::Value;

const DEMO: &str = "demo.localhost";

/// Returns the commands that an error suggests: the texts in backticks in its `next:` line.
fn advised(run: &Run) -> Vec<Vec<String>> {
    let next = run.stderr.lines().filter_map(|line| line.trim_start().strip_prefix("next: "));
    let spans: Vec<&str> = next.flat_map(|line| line.split('`').skip(1).step_by(2)).collect();
    let commands = spans.iter().filter_map(|span| span.strip_prefix("cloudron "));
    commands.map(|command| command.split(' ').map(str::to_owned).collect()).collect()
}

/// Types the suggested command that begins with these words. It must succeed.
#[track_caller]
fn follow(home: &Home, run: &Run, begin: &str, more: &[&str]) -> String {
    let all = advised(run);
    let found = all.iter().find(|words| words.join(" ").starts_with(begin));
    let words = found.unwrap_or_else(|| panic!("no `cloudron {begin}` in: {}", run.stderr));
    let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    home.ok(&words)
}

/// Stops the server of a local machine, as if it had died.
fn stop(home: &Home, fqdn: &str) {
    home.ok(&["box", "stop", "--root", home.root(fqdn).to_str().unwrap()]);
}

#[test]
fn a_name_that_is_taken_is_looked_at_or_made_free() {
    let home = Home::new();
    assert_eq!(home.create(DEMO, &[]).code, 0);
    let taken = home.create(DEMO, &[]);
    taken.failed(5, "machine-known", "");
    assert!(follow(&home, &taken, "machine status", &[]).contains("healthy"));
    follow(&home, &taken, "machine destroy", &["--delete-backups", "--yes"]);
    assert_eq!(home.create(DEMO, &[]).code, 0);
}

#[test]
fn a_dead_server_shows_what_is_known_and_the_advice_starts_it() {
    let home = Home::new();
    assert_eq!(home.create(DEMO, &[]).code, 0);
    let id = home.ok(&["machine", "backup", "create", DEMO]);
    let alive = home.ok(&["machine", "status", DEMO]);
    let url = alive.split_whitespace().find(|word| word.starts_with("https://")).unwrap().to_owned();
    stop(&home, DEMO);

    let dead = home.run(&["machine", "status", DEMO]);
    dead.failed(7, "server-dead", "");
    for known in
        ["unreachable", &url, "last seen", "healthy, latest backup", home.root(DEMO).to_str().unwrap()]
    {
        assert!(dead.stdout.contains(known), "no {known} in {}", dead.stdout);
    }
    let json = home.run(&["machine", "status", DEMO, "--output", "json"]);
    let said: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&said["machines"][0]["reachable"], &said["machines"][0]["status"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(said["machines"][0]["lastSeen"]["healthy"], true);

    // The log is read without the server.
    let log = follow(&home, &dead, "machine logs", &[]);
    assert!(log.contains(id.trim()), "{log}");
    let following = home.run(&["machine", "logs", "-f", DEMO]);
    assert_eq!(following.code, 7, "nothing is followed on a dead server: {}", following.stderr);

    follow(&home, &dead, "machine start", &[]);
    home.ok(&["machine", "status", DEMO]);
    assert!(home.ok(&["machine", "list"]).contains(&url));
}

#[test]
fn a_machine_whose_files_are_gone_is_forgotten_as_advised() {
    let home = Home::new();
    assert_eq!(home.create(DEMO, &[]).code, 0);
    stop(&home, DEMO);
    std::fs::remove_dir_all(home.root(DEMO)).unwrap();
    let dead = home.run(&["machine", "status", DEMO]);
    assert_ne!(dead.code, 0);
    assert!(dead.stdout.contains("unreachable"), "{}", dead.stdout);
    follow(&home, &dead, "machine destroy", &["--yes"]);
    assert!(home.ok(&["machine", "list"]).contains("No machines"));
}

#[test]
fn an_unfinished_machine_is_named_as_such_and_undone_as_advised() {
    let home = Home::new();
    let blocked = home.root(DEMO).join("cloudron.db");
    std::fs::create_dir_all(&blocked).unwrap();
    assert_ne!(home.create(DEMO, &["--keep"]).code, 0);
    std::fs::remove_dir(&blocked).unwrap();
    let status = home.run(&["machine", "status", DEMO]);
    status.failed(3, "machine-unknown", "--resume");
    follow(&home, &status, "machine destroy", &["--yes"]);
    assert!(home.ok(&["machine", "list"]).contains("No machines"));
    assert_eq!(home.create(DEMO, &[]).code, 0);
}

#[test]
fn a_damaged_journal_stops_its_own_machine_only_until_it_is_moved_away() {
    let home = Home::new();
    assert_eq!(home.create("other.localhost", &[]).code, 0);
    let blocked = home.root(DEMO).join("cloudron.db");
    std::fs::create_dir_all(&blocked).unwrap();
    assert_ne!(home.create(DEMO, &["--keep"]).code, 0);
    std::fs::remove_dir_all(home.root(DEMO)).unwrap();
    let journals = std::fs::read_dir(home.path(".local/state/cloudron/runs")).unwrap();
    let journals =
        journals.map(|entry| entry.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "jsonl"));
    let damaged = journals.max().unwrap();
    let text = std::fs::read_to_string(&damaged).unwrap();
    assert!(text.contains(DEMO));
    std::fs::write(&damaged, text.replace("\"intent\"", "\"intend\"")).unwrap();

    home.ok(&["machine", "status", "other.localhost"]);
    let list = home.run(&["machine", "list"]);
    list.failed(6, "journal-corrupt", damaged.to_str().unwrap());
    assert!(list.stdout.contains("other.localhost"), "{}", list.stdout);
    let create = home.create(DEMO, &[]);
    create.failed(6, "journal-corrupt", "mv ");
    let line = create.stderr.split('`').find(|span| span.starts_with("mv ")).unwrap();
    assert!(std::process::Command::new("sh").args(["-c", line]).status().unwrap().success());
    home.ok(&["machine", "list"]);
    let _ = std::fs::remove_dir_all(home.store(DEMO));
    assert_eq!(home.create(DEMO, &[]).code, 0);
}

#[test]
fn a_folder_that_does_not_exist_is_not_included() {
    let home = Home::new();
    let folder = home.path("files");
    let path = folder.to_str().unwrap();
    let run = home.create(DEMO, &["--include", path]);
    run.failed(3, "folder-missing", path);
    assert!(!home.root(DEMO).exists() && !home.store(DEMO).exists(), "nothing was made");

    assert_eq!(home.create(DEMO, &[]).code, 0);
    home.run(&["machine", "include", "add", DEMO, path]).failed(3, "folder-missing", path);
    assert!(!home.ok(&["machine", "include", "list", DEMO]).contains(path));
    // A `before` command may create it.
    home.ok(&["machine", "include", "add", DEMO, path, "--before", &format!("mkdir -p {path}")]);
    home.ok(&["machine", "backup", "create", DEMO]);
    home.ok(&["machine", "include", "remove", DEMO, path]);
    home.ok(&["machine", "include", "add", DEMO, path]);
}

#[test]
fn an_incomplete_backup_has_an_id_an_exit_code_and_a_mark() {
    let home = Home::new();
    let folder = home.path("files");
    let path = folder.to_str().unwrap();
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(home.create(DEMO, &["--include", path]).code, 0);
    let good = home.ok(&["machine", "backup", "create", DEMO]).trim().to_owned();
    std::fs::remove_dir(&folder).unwrap();

    let run = home.run(&["machine", "backup", "create", DEMO]);
    run.failed(9, "backup-incomplete", path);
    let id = run.stdout.trim();
    assert!(id.starts_with("backup_"), "{}", run.stdout);
    for store in [&[][..], &["--store"]] {
        let list = home.json(&[&["machine", "backup", "list", DEMO], store].concat());
        let marks: Vec<(&str, bool)> = list["backups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| (b["id"].as_str().unwrap(), b["incomplete"].as_bool().unwrap()))
            .collect();
        assert_eq!(marks, [(id, true), (&*good, false)]);
        let text = home.ok(&[&["machine", "backup", "list", DEMO], store].concat());
        assert_eq!(text.matches("incomplete").count(), 1, "{text}");
    }
    let status = home.run(&["machine", "status", DEMO]).stdout;
    assert!(status.contains("just now, INCOMPLETE"), "{status}");
    let json = home.run(&["machine", "backup", "create", DEMO, "--output", "json"]);
    assert_eq!(json.code, 9);
    let job: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(job["job"]["backupId"].as_str().unwrap().starts_with("backup_"));

    home.ok(&["machine", "include", "remove", DEMO, path]);
    home.ok(&["machine", "backup", "create", DEMO]);
    assert!(!home.ok(&["machine", "status", DEMO]).contains("INCOMPLETE"));
}

#[test]
fn an_owner_that_the_server_would_refuse_is_refused_before_anything_is_made() {
    let home = Home::new();
    std::fs::write(home.path("short"), "12345\n").unwrap();
    std::fs::write(home.path("good"), "long enough 1\n").unwrap();
    for (email, password, text) in
        [("me@example.com", "short", "10 to 256 characters"), ("me", "good", "invalid email address")]
    {
        let password = format!("file:{password}");
        let run = home.create(DEMO, &["--admin-email", email, "--admin-password", &password]);
        run.failed(2, "bad-request", text);
        assert!(!run.stderr.contains("Generated") && !home.path(".local").exists(), "{}", run.stderr);
    }
}

#[test]
fn addresses_have_the_port_that_the_server_listens_on() {
    let home = Home::new();
    std::fs::write(home.path("good"), "long enough 1\n").unwrap();
    let run = home.create(DEMO, &["--admin-email", "me@example.com", "--admin-password", "file:good"]);
    let link = home.run(&["machine", "setup-link", DEMO]);
    link.failed(5, "already-activated", "https://my.demo.localhost:");
    for said in
        [&run.stdout, &link.stderr, &home.ok(&["machine", "status", DEMO]), &home.ok(&["machine", "list"])]
    {
        let url = said.split_whitespace().find_map(|word| word.strip_prefix("https://my.demo.localhost:"));
        let port: u16 = url.unwrap_or_else(|| panic!("no address in {said}")).parse().unwrap();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
}

#[test]
fn a_generated_key_is_shown_only_for_a_repository_that_exists() {
    let home = Home::new();
    let create = ["machine", "create", "local", "--fqdn", DEMO, "--output", "json"];
    let mut nowhere = home.command();
    // A folder in which not even root can create anything.
    let run = Run::of(nowhere.args(create).env("XDG_DATA_HOME", "/dev/null/data").output().unwrap());
    assert_ne!(run.code, 0);
    assert!(!run.stderr.contains("Generated backup key"), "{}", run.stderr);
    let mut nowhere = home.command();
    let store = ["backup", "init", "--store", "/dev/null/data"];
    let run = Run::of(nowhere.args(store).output().unwrap());
    assert_ne!(run.code, 0);
    assert!(!run.stderr.contains("Generated backup key"), "{}", run.stderr);

    let made: Value = serde_json::from_str(&home.ok(&create)).unwrap();
    let key = made["machines"][0]["backupKey"].as_str().unwrap();
    home.ok(&["machine", "backup", "create", DEMO]);
    let mut download = home.command();
    download.args(["machine", "backup", "download", DEMO, "--decrypt", "-o", "x.tar"]);
    let run = Run::of(download.env("CLOUDRON_BACKUP_KEY", key).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    // A given key is not printed.
    let given: Value =
        serde_json::from_str(&home.create("b.localhost", &["--output", "json"]).stdout).unwrap();
    assert_eq!(given["machines"][0]["backupKey"], Value::Null);
}

#[test]
fn a_second_create_at_the_same_time_is_told_to_wait() {
    let home = Home::new();
    let mut first = running(&home);
    let runs = home.path(".local/state/cloudron/runs");
    let started = Instant::now();
    while !journal_exists(&runs) && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(2));
    }
    for more in [&[][..], &["--resume"]] {
        let second = home.create(DEMO, more);
        if first.try_wait().unwrap().is_none() {
            second.failed(5, "run-busy", "wait until it ends");
        }
    }
    let status = home.run(&["machine", "status", DEMO]);
    if first.try_wait().unwrap().is_none() {
        status.failed(5, "run-busy", "wait until it ends");
    }
    assert!(first.wait().unwrap().success());
}

fn running(home: &Home) -> Child {
    let mut command = home.command();
    command.args(["machine", "create", "local", "--fqdn", DEMO, "--backup-key", "file:key"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn journal_exists(runs: &Path) -> bool {
    let ending = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "jsonl");
    std::fs::read_dir(runs).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(ending)))
}

#[test]
fn the_public_half_of_a_key_is_told_from_the_private_one() {
    if require::tool("ssh-keygen").is_none() {
        return;
    }
    let home = Home::new();
    let key = home.path("id");
    cloudron_testkit::sshd::keygen(&key, "", "me");
    let public = key.with_extension("pub");
    let arguments =
        ["machine", "create", "generic", "--fqdn", "example.com", "--ip", "127.0.0.1", "--ssh-key"];
    let run = home.run(&[&arguments[..], &[public.to_str().unwrap()]].concat());
    run.failed(6, "ssh-key-format", &format!("--ssh-key {}", key.display()));
}
