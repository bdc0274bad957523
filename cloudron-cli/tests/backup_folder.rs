//! `cloudron backup`: any folder into any store, without a machine.

mod common;

use std::os::unix::fs::PermissionsExt;

use cloudron_testkit::tree;
use common::{FAST_KEY, Home};

/// Returns a home with a folder of files and an empty repository in `store`.
fn prepared() -> Home {
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    tree::generate(&home.path("files"), 1, 200_000).unwrap();
    home.ok(&["backup", "init", "--store", "store", "--backup-key", "file:key"]);
    home
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let home = prepared();
    // The writer keys were stored, so no backup key is needed to make a backup.
    let made = home.json(&["backup", "create", "files", "--store", "store", "--host", "laptop"]);
    let id = made["backup"]["id"].as_str().unwrap().to_owned();
    let listed = home.json(&["backup", "list", "--store", "store"]);
    assert_eq!((&listed["backups"][0]["id"], &listed["backups"][0]["host"]), (&id.into(), &"laptop".into()));
    let restore = ["backup", "restore", "latest", "--store", "store", "--backup-key", "file:key", "--target"];
    home.ok(&[&restore[..], &["back", "--compare"]].concat());
    let back = home.path("back").join(home.path("files").strip_prefix("/").unwrap());
    tree::assert_same(&home.path("files"), &back);
    // A single path.
    let mail = home.path("files/note");
    std::fs::write(&mail, "remember").unwrap();
    home.ok(&["backup", "create", "files", "--store", "store"]);
    home.ok(&[
        "backup",
        "restore",
        "latest",
        mail.to_str().unwrap(),
        "--store",
        "store",
        "--backup-key",
        "file:key",
        "--target",
        "one",
    ]);
    let alone = home.path("one").join(mail.strip_prefix("/").unwrap());
    assert_eq!(std::fs::read_to_string(&alone).unwrap(), "remember");
    assert_eq!(std::fs::read_dir(alone.parent().unwrap()).unwrap().count(), 1);
    home.ok(&["backup", "verify", "--store", "store", "--full", "--backup-key", "file:key"]);
}

#[test]
fn another_machine_makes_backups_with_the_keys_for_writing_alone() {
    let home = prepared();
    let key = ["--store", "store", "--backup-key", "file:key"];
    home.ok(&[&["backup", "key", "writer", "-o", "writer.json"][..], &key].concat());
    let mode = std::fs::metadata(home.path("writer.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    home.run(&[&["backup", "key", "writer", "-o", "writer.json"][..], &key].concat()).failed(
        5,
        "output-exists",
        "writer.json",
    );
    std::fs::remove_dir_all(home.path(".local")).unwrap();
    // No keys are stored here any more, and no user can be prompted.
    let create = ["backup", "create", "files", "--store", "store"];
    home.run(&create).failed(2, "needs-answer", "--backup-key");
    home.ok(&[&create[..], &["--writer-keys", "file:writer.json"]].concat());
    std::fs::write(home.path("writer.json"), "{}").unwrap();
    home.run(&[&create[..], &["--writer-keys", "file:writer.json"]].concat()).failed(
        2,
        "writer-keys",
        "backup key writer",
    );
    assert_eq!(home.json(&["backup", "list", "--store", "store"])["backups"].as_array().unwrap().len(), 1);
}

#[test]
fn what_a_pattern_fits_is_left_out() {
    let home = prepared();
    for name in ["files/keep.txt", "files/a.tmp", "files/cache/big"] {
        let path = home.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
    std::fs::write(home.path("patterns"), "# caches\n\ncache\n").unwrap();
    home.ok(&[
        "backup",
        "create",
        "files",
        "--store",
        "store",
        "--exclude",
        "*.tmp",
        "--exclude-file",
        "patterns",
    ]);
    home.ok(&[
        "backup",
        "restore",
        "latest",
        "--store",
        "store",
        "--backup-key",
        "file:key",
        "--target",
        "t",
    ]);
    let there = |name: &str| home.path("t").join(home.path(name).strip_prefix("/").unwrap()).exists();
    assert!(there("files/keep.txt") && !there("files/a.tmp") && !there("files/cache"));
}

#[test]
fn a_backup_that_lacks_files_says_so_and_can_be_restored() {
    let home = prepared();
    let missing = home.run(&["backup", "create", "nowhere", "--store", "store"]);
    missing.failed(3, "source-missing", "nowhere");
    let partly = home.run(&["backup", "create", "files", "nowhere", "--store", "store"]);
    partly.failed(9, "files-left-out", "nowhere");
    assert!(partly.stdout.starts_with("backup_"), "{}", partly.stdout);
    home.ok(&[
        "backup",
        "restore",
        "latest",
        "--store",
        "store",
        "--backup-key",
        "file:key",
        "--target",
        "t",
    ]);
}

#[test]
fn a_program_that_fails_makes_no_backup_of_what_it_printed() {
    let home = prepared();
    let stdin = ["backup", "create", "--store", "store", "--stdin", "dump.sql", "--command"];
    home.run(&[&stdin[..], &["echo part; exit 3"]].concat()).failed(1, "stream-failed", "exit status: 3");
    home.run(&["backup", "create", "--store", "store", "--command", "true"]).failed_usage("--stdin");
    assert_eq!(home.ok(&["backup", "list", "--store", "store"]), "No backups have been made.\n");
    home.ok(&[&stdin[..], &["echo whole"]].concat());
    let restore = ["backup", "restore", "latest", "--store", "store", "--backup-key", "file:key"];
    home.ok(&[&restore[..], &["--target", "t"]].concat());
    assert_eq!(std::fs::read_to_string(home.path("t/stdin/dump.sql")).unwrap(), "whole\n");
}

#[test]
fn paths_are_understood_as_they_are_typed() {
    let home = prepared();
    std::fs::create_dir_all(home.path("files/sub")).unwrap();
    let made = |arguments: &[&str]| {
        let run = home.command().args(arguments).current_dir(home.path("files/sub")).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    };
    made(&["backup", "create", "../../files/sub/..", "--store", "../../store"]);
    let listed = made(&["backup", "list", "--path", "..", "--store", "../../store"]);
    assert!(listed.contains(home.path("files").canonicalize().unwrap().to_str().unwrap()), "{listed}");
    let none = home.ok(&["backup", "list", "--host", "another", "--store", "store"]);
    assert_eq!(none, "No backup is of that host, domain, tag and path.\n");
    for reading in
        [&["ls", "latest"][..], &["diff", "latest", "latest"], &["restore", "latest", "--target", "t"]]
    {
        let rest = ["files", "--store", "store", "--backup-key", "file:key"];
        let run = home.run(&[&["backup"], reading, &rest].concat());
        run.failed(2, "usage", "backup ls");
    }
}

#[test]
fn a_copy_that_is_older_is_nothing_that_was_rolled_back() {
    let home = prepared();
    let create = |store| home.ok(&["backup", "create", "files", "--store", store]);
    create("store");
    home.ok(&["backup", "copy", "--store", "store", "--to", "copy"]);
    home.ok(&["backup", "create", "files", "--store", "store", "--tag", "later"]);
    home.ok(&["backup", "verify", "--store", "store"]);
    let verified = home.ok(&["backup", "verify", "--store", "copy"]);
    assert!(verified.contains("nothing of that is damaged or missing"), "{verified}");
    home.run(&["backup", "copy", "--store", "store", "--to", "./store"]).failed(2, "usage", "--to");
    // Within the same store.
    let newest = home.json(&["backup", "list", "--store", "store"])["backups"][0]["id"].clone();
    std::fs::remove_file(home.path(&format!("store/snapshots/{}.json", newest.as_str().unwrap()))).unwrap();
    home.run(&["backup", "verify", "--store", "store"]).failed(10, "repository-rolled-back", "");
}

#[test]
fn mistakes_are_named_before_anything_is_written() {
    let home = prepared();
    let init = ["backup", "init", "--store", "store"];
    let again = home.run(&init);
    again.failed(5, "repository-exists", "choose another address");
    home.run(&["backup", "list", "--store", "key"]).failed(2, "store-url", "is not a folder");
    home.run(&["backup", "init", "--store", "key"]).failed(2, "store-url", "is not a folder");
    home.run(&["backup", "list", "--store", "nowhere"]).failed(3, "repository-missing", "backup init");
    let help = home.ok(&["backup", "create", "--help"]);
    let own = help.split("Object stores:").next().unwrap();
    assert!(own.contains("--exclude") && own.contains("--backup-key"), "{help}");
    assert!(!again.stderr.contains("Generated"), "no key is shown that opens nothing");
    home.run(&["backup", "list", "--store", "elsewhere"]).failed(3, "repository-missing", "elsewhere");
    home.run(&["backup", "list"]).failed_usage("--store");
    home.ok(&["backup", "create", "files", "--store", "store"]);
    std::fs::write(home.path("wrong"), "another backup key\n").unwrap();
    let restore = ["backup", "restore", "latest", "--store", "store", "--target", "t", "--backup-key"];
    home.run(&[&restore[..], &["file:wrong"]].concat()).failed(4, "backup-key-wrong", "typing errors");
    home.run(&[&restore[..], &["file:key", "backup_2000-01-01T00-00-00Z_v1.0.0"]].concat())
        .failed(2, "usage", "absolute");
    assert!(!home.path("t").exists());
    home.ok(&[&restore[..], &["file:key"]].concat());
    let first = std::fs::read_dir(home.path("t").join(home.path("files").strip_prefix("/").unwrap()))
        .unwrap()
        .flatten()
        .find(|e| e.file_type().unwrap().is_file());
    if let Some(file) = first {
        std::fs::write(file.path(), "changed since").unwrap();
        home.run(&[&restore[..], &["file:key"]].concat()).failed(5, "restore-conflict", "--overwrite");
        home.ok(&[&restore[..], &["file:key", "--overwrite"]].concat());
    }
}

#[test]
fn a_copy_opens_with_the_same_key_and_damage_is_found() {
    let home = prepared();
    home.ok(&["backup", "create", "files", "--store", "store"]);
    home.ok(&["backup", "copy", "--store", "store", "--to", "copy"]);
    let again = home.json(&["backup", "copy", "--store", "store", "--to", "copy"]);
    assert_eq!(again["copy"]["copied"], 0);
    home.ok(&["backup", "restore", "latest", "--store", "copy", "--backup-key", "file:key", "--target", "t"]);
    let pack = walk(&home.path("copy/packs")).pop().unwrap();
    let mut content = std::fs::read(&pack).unwrap();
    *content.last_mut().unwrap() ^= 1;
    std::fs::write(&pack, content).unwrap();
    let check = ["backup", "verify", "--store", "copy", "--full", "--backup-key", "file:key"];
    let found = home.run(&check);
    found.failed(10, "verify-failed", "packs/");
    assert!(found.stdout.contains("does not restore whole: backup_"), "{}", found.stdout);
}

#[test]
fn the_backup_key_is_nowhere_on_disk_or_in_what_is_printed() {
    let home = prepared();
    std::fs::write(home.path("files/plain"), "canary of a file 51f0").unwrap();
    let made = home.run(&["-vv", "backup", "create", "files", "--store", "store"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(!made.stderr.contains(FAST_KEY));
    for folder in ["store", ".local", ".cache"] {
        for file in walk(&home.path(folder)) {
            // These files describe what such a key looks like.
            if file.file_stem().is_some_and(|n| n.eq_ignore_ascii_case("recover")) {
                continue;
            }
            let content = std::fs::read(&file).unwrap();
            for canary in [FAST_KEY, "canary of a file 51f0", "AGE-SECRET-KEY-1"] {
                let found = content.windows(canary.len()).any(|w| w == canary.as_bytes());
                // Only the writer keys of this computer contain the identity that opens the index.
                let keys = folder == ".local" && file.parent().unwrap().ends_with("writers");
                let expected = canary.starts_with("AGE") && keys;
                assert_eq!(found, expected, "{canary:?} in {}", file.display());
            }
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} is open to others", file.display());
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(walk(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}
