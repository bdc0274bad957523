//! A `local` machine is created, backed up, lost and restored.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::tree;
use common::{BACKUP_KEY, Home};

const DEMO: &str = "demo.localhost";

#[track_caller]
fn created(run: &common::Run) {
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
}

#[test]
fn a_machine_that_is_lost_comes_back_byte_for_byte() {
    let home = Home::new();
    let files = home.path("files");
    tree::generate(&files, 7, 3_000_000).unwrap();
    let password = "canary password 9";
    std::fs::write(home.path("password"), password).unwrap();
    created(&home.create(
        DEMO,
        &[
            "--include",
            files.to_str().unwrap(),
            "--admin-email",
            "me@example.com",
            "--admin-password",
            "file:password",
        ],
    ));
    let data = home.root(DEMO).join("data");
    tree::generate(&data.join("app"), 8, 1_000_000).unwrap();
    let before = [tree::digest(&files).unwrap(), tree::digest(&data).unwrap()];

    let id = home.ok(&["machine", "backup", "create", DEMO]).trim().to_owned();
    let server = home.json(&["machine", "backup", "list", DEMO]);
    let store = home.json(&["machine", "backup", "list", DEMO, "--store"]);
    assert_eq!(server["backups"][0]["id"], id.as_str());
    assert_eq!(server["backups"], store["backups"]);

    home.ok(&["machine", "destroy", DEMO, "--yes"]);
    assert!(!home.root(DEMO).exists());
    assert_eq!(home.json(&["machine", "backup", "list", DEMO, "--store"])["backups"][0]["id"], id.as_str());
    std::fs::remove_dir_all(&files).unwrap();

    // The folder is named by the lost server, and an attacker on it could have named another one.
    let folder = files.display().to_string();
    let refused = home.create(DEMO, &["--backup", "latest"]);
    refused.failed(2, "restore-unconfirmed", &format!("--restore-path {folder}"));
    assert!(!files.exists() && !home.root(DEMO).join("bin").exists());
    let run = home.create(DEMO, &["--backup", "latest", "--restore-path", &folder]);
    created(&run);
    assert!(run.stdout.contains("verified: "), "{}", run.stdout);
    assert!(!run.stdout.contains("#setup="), "a restored machine has its owner already");
    for (before, folder) in before.iter().zip([&files, &data]) {
        assert_eq!(tree::compare(before, &tree::digest(folder).unwrap()), Vec::<String>::new());
    }

    let events = home.json(&["machine", "eventlog", DEMO, "--per-page", "100"]).to_string();
    for action in ["cloudron.activate", "backup.finish", "cloudron.restore"] {
        assert!(events.contains(action), "{action} is not in {events}");
    }
    assert_eq!(home.json(&["machine", "status", DEMO])["machines"][0]["status"]["activated"], true);
    // The whole home, except for the two files made by the test.
    std::fs::remove_file(home.path("key")).unwrap();
    std::fs::remove_file(home.path("password")).unwrap();
    let canary = Canary::new().secret("backup key", BACKUP_KEY).secret("password", password);
    assert_none(&canary.in_tree(home.dir()).unwrap());
}

#[test]
fn the_wrong_key_restores_nothing_and_makes_nothing() {
    let home = Home::new();
    created(&home.create(DEMO, &[]));
    home.ok(&["machine", "backup", "create", DEMO]);
    home.ok(&["machine", "destroy", DEMO, "--yes"]);
    std::fs::write(home.path("wrong"), "another key altogether\n").unwrap();
    let base = ["machine", "create", "local", "--fqdn", DEMO];
    let wrong = ["--backup", "latest", "--backup-key", "file:wrong"];
    home.run(&[&base[..], &wrong].concat()).failed(4, "backup-key-wrong", "");
    assert!(!home.root(DEMO).exists());
    home.create(DEMO, &["--backup", "backup_2001-01-01T00-00-00Z_v0.1.0"]).failed(3, "backup-unknown", "");
    home.run(&base).failed(5, "store-in-use", "--backup latest");
    assert!(!home.root(DEMO).exists());
}

#[test]
fn a_file_that_changed_since_is_not_overwritten_unless_told() {
    let home = Home::new();
    let files = home.path("files");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("a"), "old").unwrap();
    let folder = files.to_str().unwrap();
    created(&home.create(DEMO, &["--include", folder]));
    home.ok(&["machine", "backup", "create", DEMO]);
    home.ok(&["machine", "destroy", DEMO, "--yes"]);
    std::fs::write(files.join("a"), "newer").unwrap();
    let restore = ["--backup", "latest", "--restore-path", folder];
    home.create(DEMO, &restore).failed(5, "restore-conflict", "overwrite");
    assert_eq!(std::fs::read(files.join("a")).unwrap(), b"newer");
    assert!(!home.root(DEMO).exists(), "the failed run is undone");
    created(&home.create(DEMO, &[&restore[..], &["--overwrite"]].concat()));
    assert_eq!(std::fs::read(files.join("a")).unwrap(), b"old");
}

#[test]
fn machines_live_side_by_side_and_a_dead_one_is_seen() {
    let home = Home::new();
    created(&home.create(DEMO, &[]));
    created(&home.create("other.localhost", &[]));
    home.create(DEMO, &[]).failed(5, "machine-known", "machine destroy");
    kill(&home, DEMO);
    let list = home.json(&["machine", "list"]);
    let state = |name: &str| {
        let rows = list["machines"].as_array().unwrap();
        rows.iter().find(|r| r["fqdn"] == name).unwrap()["state"].as_str().unwrap().to_owned()
    };
    assert!(state(DEMO).starts_with("unreachable"), "{}", state(DEMO));
    assert!(state("other.localhost").starts_with("running"));
    home.run(&["machine", "status", DEMO]).failed(7, "server-dead", "");
    home.ok(&["machine", "start", DEMO]);
    home.ok(&["machine", "status", DEMO]);
}

/// Returns the process ID of a local machine's server.
fn pid(home: &Home, fqdn: &str) -> i32 {
    let out = home.ok(&["box", "status", "--root", home.root(fqdn).to_str().unwrap()]);
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    i32::try_from(status["pid"].as_i64().unwrap()).unwrap()
}

/// Kills the server of a local machine.
fn kill(home: &Home, fqdn: &str) {
    let pid = rustix::process::Pid::from_raw(pid(home, fqdn)).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let start = Instant::now();
    while Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists()
        && start.elapsed() < Duration::from_secs(5)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_backup_downloads_as_a_plain_tar_or_as_a_repository_to_restore_from() {
    let home = Home::new();
    created(&home.create(DEMO, &[]));
    let data = home.root(DEMO).join("data");
    std::fs::write(data.join("hello.txt"), "hello").unwrap();
    home.ok(&["machine", "backup", "create", DEMO]);
    let key = ["--backup-key", "file:key"];
    home.ok(
        &[&["machine", "backup", "download", DEMO, "latest", "--decrypt", "-o", "x.tar"], &key[..]].concat()
    );
    let mut archive = tar::Archive::new(std::fs::File::open(home.path("x.tar")).unwrap());
    let names: Vec<_> = archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().into_owned()).collect();
    assert!(names.iter().any(|n| n.ends_with("data/hello.txt")), "{names:?}");
    let again =
        home.run(&[&["machine", "backup", "download", DEMO, "--decrypt", "-o", "x.tar"], &key[..]].concat());
    again.failed(5, "export-exists", "x.tar");

    home.ok(&["machine", "backup", "download", DEMO, "--repository", "copy"]);
    home.ok(&["machine", "backup", "verify", DEMO, "--store", "copy"]);
    home.ok(&[&["machine", "backup", "verify", DEMO, "--store", "copy", "--full"], &key[..]].concat());
    home.ok(&["machine", "destroy", DEMO, "--delete-backups", "--yes"]);
    assert!(!home.store(DEMO).exists());
    created(&home.create(DEMO, &["--backup", "latest", "--store", "copy"]));
    assert_eq!(std::fs::read(data.join("hello.txt")).unwrap(), b"hello");
}

#[test]
fn a_newest_backup_that_vanishes_from_the_store_is_noticed() {
    let home = Home::new();
    created(&home.create(DEMO, &[]));
    home.ok(&["machine", "backup", "create", DEMO]);
    home.ok(&["machine", "backup", "download", DEMO, "--repository", "older"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    home.ok(&["machine", "backup", "create", DEMO]);
    home.ok(&["machine", "backup", "verify", DEMO]);
    let summaries = home.store(DEMO).join("snapshots");
    let files = std::fs::read_dir(&summaries).unwrap().map(|e| e.unwrap().path());
    let newest = files.filter(|f| f.extension().is_some_and(|e| e == "json")).max().unwrap();
    std::fs::remove_file(newest).unwrap();
    home.run(&["machine", "backup", "verify", DEMO]).failed(10, "repository-rolled-back", "gone");
    // An older copy given explicitly is accepted.
    home.ok(&["machine", "backup", "verify", DEMO, "--store", "older"]);
}

#[test]
fn old_backups_are_pruned_by_the_owner_and_the_server_goes_on() {
    let home = Home::new();
    let key = ["--backup-key", "file:key"];
    created(&home.create(DEMO, &[]));
    for _ in 0..3 {
        home.ok(&["machine", "backup", "create", DEMO]);
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let keep = ["machine", "backup", "prune", DEMO, "--keep-last", "1", "--grace", "0"];
    home.run(&[&keep[..], &key].concat()).failed(5, "prune-removals", "next: see which with `--dry-run`");
    let shown = home.run(&[&keep[..], &key, &["--dry-run"]].concat());
    shown.failed(5, "prune-removals", "add `--allow-removals`");
    assert!(shown.stdout.contains("1 would be kept, 2 would be removed"), "{}", shown.stdout);
    let prune = [&keep[..], &["--allow-removals"]].concat();
    let report = home.json(&[&prune[..], &key].concat());
    assert_eq!(report["prune"]["removed"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(home.json(&["machine", "backup", "list", DEMO])["backups"].as_array().unwrap().len(), 1);
    home.ok(&["machine", "backup", "create", DEMO]);
    home.ok(&[&["machine", "backup", "verify", DEMO, "--full"][..], &key].concat());
}

#[test]
fn includes_are_listed_added_and_removed_with_their_hooks() {
    let home = Home::new();
    created(&home.create(DEMO, &[]));
    let folder = home.path("db");
    std::fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    home.ok(&[
        "machine",
        "include",
        "add",
        DEMO,
        folder,
        "--before",
        &format!("echo dumped > {folder}/dump"),
    ]);
    let id = home.ok(&["machine", "backup", "create", DEMO]);
    assert_eq!(std::fs::read_to_string(home.path("db/dump")).unwrap(), "dumped\n");
    assert!(id.starts_with("backup_"));
    assert_eq!(home.json(&["machine", "include", "list", DEMO])["includes"][0]["path"], folder);
    home.ok(&["machine", "include", "remove", DEMO, folder]);
    assert_eq!(home.json(&["machine", "include", "list", DEMO])["includes"].as_array().unwrap().len(), 0);
    home.run(&["machine", "include", "remove", DEMO, folder]).failed(3, "include-missing", folder);
}

#[test]
fn a_dry_run_makes_nothing_and_says_what_it_would() {
    let home = Home::new();
    let run = home.create(DEMO, &["--dry-run"]);
    created(&run);
    assert!(run.stdout.contains("Install the server for demo.localhost"), "{}", run.stdout);
    assert!(!home.path(".local").exists());
}

#[test]
fn the_setup_link_works_once() {
    let home = Home::new();
    let run = home.create(DEMO, &[]);
    created(&run);
    assert!(run.stdout.contains("https://my.demo.localhost:") && run.stdout.contains("/#setup="));
    let link = home.ok(&["machine", "setup-link", DEMO]);
    assert!(link.contains("/#setup="));
    assert!(!run.stdout.contains(link.trim()), "a new link has a new token");
}

#[test]
fn a_run_that_died_is_listed_goes_on_with_resume_or_is_destroyed() {
    let home = Home::new();
    // A store in place of the data folder makes the run fail after it has started, and --keep leaves it
    // there.
    let blocked = home.root(DEMO).join("cloudron.db");
    std::fs::create_dir_all(&blocked).unwrap();
    let run = home.create(DEMO, &["--keep"]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("--resume"), "{}", run.stderr);
    let state = home.json(&["machine", "list"])["machines"][0]["state"].to_string();
    assert!(state.contains("unfinished"), "{state}");
    home.create(DEMO, &[]).failed(5, "run-exists", "--resume");
    // `adopt` has no such option.
    let adopt = home.run(&["machine", "adopt", DEMO, "--yes"]);
    adopt.failed(5, "run-exists", &format!("`cloudron machine destroy {DEMO}`"));
    assert!(!adopt.stderr.contains("`--resume`"), "{}", adopt.stderr);

    std::fs::remove_dir(&blocked).unwrap();
    created(&home.create(DEMO, &["--resume"]));
    home.ok(&["machine", "status", DEMO]);
    home.ok(&["machine", "destroy", DEMO, "--delete-backups", "--yes"]);

    std::fs::create_dir_all(&blocked).unwrap();
    assert_ne!(home.create(DEMO, &["--keep"]).code, 0);
    std::fs::remove_dir(&blocked).unwrap();
    let gone = home.ok(&["machine", "destroy", DEMO, "--yes"]);
    assert!(gone.contains("unfinished run"), "{gone}");
    assert_eq!(home.json(&["machine", "list"])["machines"].as_array().unwrap().len(), 0);
    assert!(!home.root(DEMO).exists());
    created(&home.create(DEMO, &[]));
}

#[test]
fn work_that_outlives_its_token_gets_another_one() {
    let home = Home::new();
    created(&home.create(DEMO, &[]));
    let folder = home.path("slow");
    std::fs::create_dir(&folder).unwrap();
    home.ok(&[
        "machine",
        "include",
        "add",
        DEMO,
        folder.to_str().unwrap(),
        "--before",
        "touch begun; sleep 2",
    ]);
    let mut backup = home.command();
    backup.args(["machine", "backup", "create", DEMO]).stdout(std::process::Stdio::piped());
    let backup = backup.spawn().unwrap();
    let start = Instant::now();
    while !folder.join("begun").exists() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // As if the tokens had expired.
    let database = rusqlite::Connection::open(home.root(DEMO).join("cloudron.db")).unwrap();
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    assert!(database.execute("DELETE FROM tokens", []).unwrap() > 0);
    let run = common::Run::of(backup.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("backup_"));
}

#[test]
fn the_server_knows_nothing_of_its_makers_environment() {
    let home = Home::new();
    let mut create = home.command();
    create.args(["machine", "create", "local", "--fqdn", DEMO]).env("CLOUDRON_BACKUP_KEY", BACKUP_KEY);
    created(&common::Run::of(create.output().unwrap()));
    let environment = match std::fs::read(format!("/proc/{}/environ", pid(&home, DEMO))) {
        // Only root may inspect a process that disables core dumps.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return,
        read => read.unwrap(),
    };
    let canary = Canary::new().secret("backup key", BACKUP_KEY);
    assert!(!environment.is_empty());
    assert_none(&canary.in_bytes("the server's environment", &environment));
}
