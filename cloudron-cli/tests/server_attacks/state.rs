//! A database or store that was damaged or replaced.

use std::path::PathBuf;

use super::{DEMO, owned};
use crate::common::{Home, Run};

fn stop(home: &Home) {
    home.ok(&["box", "stop", "--root", home.root(DEMO).to_str().unwrap()]);
}

fn database(home: &Home) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| home.root(DEMO).join(format!("cloudron.db{end}")))
}

fn remove_database(home: &Home) {
    for file in database(home) {
        let _ = std::fs::remove_file(file);
    }
}

/// Types the command in the error's hint. Returns its output.
fn follow(home: &Home, failed: &Run) -> String {
    let next =
        failed.stderr.split('`').find(|part| part.starts_with("cloudron ")).expect("a command to type");
    let words: Vec<&str> = next.split(' ').skip(1).chain(["--yes"]).collect();
    home.ok(&words)
}

#[test]
fn a_lost_database_is_said_and_its_hint_gets_the_server_going_again() {
    let (home, _) = owned();
    home.ok(&["machine", "backup", "create", DEMO]);
    std::fs::write(home.root(DEMO).join("data/note"), "remember").unwrap();
    for missing in [true, false] {
        stop(&home);
        remove_database(&home);
        if !missing {
            std::fs::write(&database(&home)[0], "").unwrap();
        }
        let failed = home.run(&["machine", "start", DEMO]);
        failed.failed(6, "database-lost", "cloudron.db");
        let said = follow(&home, &failed);
        assert!(said.contains("new database") && said.contains("#setup="), "{said}");
        let status = home.json(&["machine", "status", DEMO]);
        assert_eq!(status["machines"][0]["status"]["activated"], false);
        // A backup can be made, and earlier backups are kept.
        home.ok(&["machine", "backup", "create", DEMO]);
        assert_eq!(std::fs::read(home.root(DEMO).join("data/note")).unwrap(), b"remember");
    }
    assert_eq!(home.json(&["machine", "backup", "list", DEMO])["backups"].as_array().unwrap().len(), 3);
}

#[test]
fn an_older_copy_of_the_database_is_said_and_used_when_told() {
    let (home, _) = owned();
    stop(&home);
    let older = std::fs::read(&database(&home)[0]).unwrap();
    home.ok(&["machine", "start", DEMO]);
    stop(&home);
    remove_database(&home);
    std::fs::write(&database(&home)[0], older).unwrap();
    let failed = home.run(&["machine", "start", DEMO]);
    failed.failed(6, "database-lost", "older");
    let said = follow(&home, &failed);
    assert!(said.contains("as it is") && !said.contains("#setup="), "{said}");
    assert_eq!(home.json(&["machine", "status", DEMO])["machines"][0]["status"]["activated"], true);
}

#[test]
fn a_machine_whose_packs_are_gone_is_not_well() {
    let (home, _) = owned();
    home.ok(&["machine", "backup", "create", DEMO]);
    home.ok(&["machine", "status", DEMO]);
    std::fs::rename(home.store(DEMO).join("packs"), home.path("packs")).unwrap();
    std::fs::create_dir(home.store(DEMO).join("packs")).unwrap();
    let run = home.run(&["machine", "status", DEMO]);
    run.failed(1, "machine-unhealthy", "store");
    assert!(run.stdout.contains("is missing"), "{}", run.stdout);
    std::fs::remove_dir(home.store(DEMO).join("packs")).unwrap();
    std::fs::rename(home.path("packs"), home.store(DEMO).join("packs")).unwrap();
    home.ok(&["machine", "status", DEMO]);
}

#[test]
fn a_check_of_a_machine_without_the_key_does_not_say_that_nothing_is_missing() {
    let (home, _) = owned();
    home.ok(&["machine", "backup", "create", DEMO]);
    let packs = home.store(DEMO).join("packs");
    let folder = std::fs::read_dir(&packs).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(&folder, home.path("withheld")).unwrap();
    let run = home.run(&["machine", "backup", "verify", DEMO]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(
        !said.contains("nothing is damaged or missing") && said.contains("not checked: whether the packs"),
        "{said}"
    );
    let run = home.run(&["machine", "backup", "verify", DEMO, "--backup-key", "file:key"]);
    assert_eq!(run.code, 10, "{}{}", run.stdout, run.stderr);
    std::fs::rename(home.path("withheld"), &folder).unwrap();
    home.ok(&["machine", "backup", "verify", DEMO, "--backup-key", "file:key"]);
}

#[test]
fn a_machine_whose_last_backup_failed_is_not_well_until_one_is_made() {
    let (home, _) = owned();
    std::fs::rename(home.store(DEMO), home.path("elsewhere")).unwrap();
    assert_ne!(home.run(&["machine", "backup", "create", DEMO]).code, 0);
    std::fs::rename(home.path("elsewhere"), home.store(DEMO)).unwrap();
    let run = home.run(&["machine", "status", DEMO]);
    run.failed(1, "machine-unhealthy", "backup");
    assert!(run.stdout.contains("last try failed"), "{}", run.stdout);
    home.ok(&["machine", "backup", "create", DEMO]);
    home.ok(&["machine", "status", DEMO]);
}

#[test]
fn a_pipe_in_the_place_of_the_description_is_not_waited_for() {
    let (home, _) = owned();
    let description = home.store(DEMO).join("cloudron-backup.json");
    std::fs::rename(&description, home.path("kept")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&description).status().unwrap();
    assert!(made.success());
    home.run(&["machine", "backup", "list", DEMO, "--store"]).failed(6, "object-corrupt", "not a file");
    home.run(&["machine", "status", DEMO]).failed(1, "machine-unhealthy", "store");
}
