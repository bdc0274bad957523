//! `cloudron backup`: reading backups, and managing keys.

mod common;

use common::{FAST_KEY, Home};

const SECOND_KEY: &str = "second0key1q2v9x4m7z8w5r3t6y0p2c4b6n8d1f";
const KEY: [&str; 4] = ["--store", "store", "--backup-key", "file:key"];

/// Returns a home with two backups of a folder, the second with changes.
fn prepared() -> (Home, String) {
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    std::fs::write(home.path("second"), SECOND_KEY).unwrap();
    std::fs::create_dir(home.path("files")).unwrap();
    for (name, content) in [("same", "1"), ("edited", "old"), ("gone", "x")] {
        std::fs::write(home.path("files").join(name), content).unwrap();
    }
    home.ok(&[&["backup", "init"][..], &KEY].concat());
    let first = create(&home, &["--tag", "before"]);
    std::fs::write(home.path("files/edited"), "new and longer").unwrap();
    std::fs::remove_file(home.path("files/gone")).unwrap();
    std::fs::write(home.path("files/odd\x1b[31m"), "y").unwrap();
    (home, first)
}

fn create(home: &Home, more: &[&str]) -> String {
    let made = home.json(&[&["backup", "create", "files", "--store", "store"][..], more].concat());
    made["backup"]["id"].as_str().unwrap().to_owned()
}

fn on(command: &[&str]) -> Vec<String> {
    command.iter().chain(&KEY).map(|w| (*w).to_owned()).collect()
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[test]
fn what_is_in_a_backup_is_shown_found_and_compared() {
    let (home, first) = prepared();
    let second = create(&home, &["--tag", "after", "--host", "laptop"]);
    let listed = home.ok(&words(&on(&["backup", "ls", &first])));
    assert!(listed.contains("/files/gone\n") && listed.contains("4 entries"), "{listed}");
    let entries = home.json(&words(&on(&["backup", "ls", "latest"])));
    assert_eq!(entries["report"]["files"], 3);
    assert_eq!(
        entries["entries"].as_array().unwrap().len() as u64,
        entries["report"]["entries"].as_u64().unwrap()
    );
    let diff = home.ok(&words(&on(&["backup", "diff", &first, &second])));
    for mark in ["M ", "- ", "+ "] {
        assert_eq!(diff.lines().filter(|l| l.starts_with(mark)).count(), 1, "{mark:?}: {diff}");
    }
    assert!(!diff.contains('\x1b'), "a name cannot fool the terminal: {diff:?}");
    let found = home.json(&words(&on(&["backup", "find", "gone"])));
    assert_eq!(found["files"][0]["backup"], first);
    assert_eq!(found["files"].as_array().unwrap().len(), 1);
    home.run(&words(&on(&["backup", "find", "nowhere"]))).failed(3, "backup-path-unknown", "nowhere");
    let tagged = home.json(&["backup", "list", "--store", "store", "--tag", "after"]);
    assert_eq!(tagged["backups"].as_array().unwrap().len(), 1);
    assert_eq!(tagged["backups"][0]["host"], "laptop");
    home.ok(&words(&on(&["backup", "restore", "latest", "--tag", "before", "--target", "t"])));
    let back = home.path("t").join(home.path("files/edited").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read_to_string(back).unwrap(), "old");
}

#[test]
fn a_dry_run_says_what_would_be_read_and_writes_nothing() {
    let (home, _) = prepared();
    let before = home.json(&["backup", "list", "--store", "store"]);
    let plan = home.json(&["backup", "create", "files", "--store", "store", "--dry-run"]);
    assert_eq!(plan["report"]["files"], 3, "{plan}");
    let read = |name: &str| {
        plan["files"].as_array().unwrap().iter().any(|f| f["path"].as_str().unwrap().ends_with(name))
    };
    assert!(read("/edited") && read("[31m"));
    assert_eq!(before, home.json(&["backup", "list", "--store", "store"]));
}

#[test]
fn keys_are_added_changed_and_removed_without_touching_the_backups() {
    let (home, _) = prepared();
    let opens =
        |key: &str| home.run(&["backup", "ls", "latest", "--store", "store", "--backup-key", key]).code == 0;
    home.ok(&words(&on(&["backup", "key", "add", "partner", "--new-key", "file:second"])));
    assert!(opens("file:key") && opens("file:second"));
    let again = on(&["backup", "key", "add", "partner", "--new-key", "file:second"]);
    assert_ne!(home.run(&words(&again)).code, 0);
    // The last usable key is not removed.
    let own = home.run(&words(&on(&["backup", "key", "remove", "main", "--yes"])));
    assert_ne!(own.code, 0, "{}", own.stdout);
    assert!(opens("file:key"));

    let paper = home.run(&words(&on(&["backup", "key", "paper", "vault"])));
    assert_eq!(paper.code, 0, "{}", paper.stderr);
    assert!(paper.stdout.starts_with("AGE-SECRET-KEY-1") && !paper.stderr.contains("AGE-SECRET-KEY-1"));
    std::fs::write(home.path("paper"), &paper.stdout).unwrap();
    assert!(opens("file:paper"));
    let names = |home: &Home| -> Vec<String> {
        let keys = home.json(&["backup", "key", "list", "--store", "store"]);
        keys["keys"].as_array().unwrap().iter().map(|k| k["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&home), ["main", "partner", "vault"]);

    home.ok(&words(&on(&["backup", "key", "remove", "partner", "--yes"])));
    assert!(!opens("file:second"));
    home.ok(&words(&on(&["backup", "key", "change", "--new-key", "file:second"])));
    assert!(opens("file:second") && !opens("file:key") && opens("file:paper"));
    assert_eq!(names(&home), ["main", "vault"]);
}

#[test]
fn a_generated_key_is_shown_once_and_works() {
    let home = Home::new();
    std::fs::create_dir(home.path("files")).unwrap();
    let made = home.run(&["backup", "init", "--store", "store", "--forget"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let key = made.stderr.lines().find_map(|l| l.strip_prefix("Generated backup key:")).unwrap().trim();
    std::fs::write(home.path("key"), key).unwrap();
    assert!(!home.path(".local").exists(), "nothing is kept with --forget");
    home.ok(&[&["backup", "create", "files"][..], &KEY].concat());
}
