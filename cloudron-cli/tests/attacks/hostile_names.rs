//! File names and stores written by an attacker.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{FAST_KEY, Home};
use crate::{ESCAPED, HOSTILE, assert_clean, within};

const LIMIT: Duration = Duration::from_secs(120);
const STORE: [&str; 2] = ["--store", "store"];

/// Runs a command in both formats and with all traces. Returns the output.
#[track_caller]
fn text_of(home: &Home, words: &[&str]) -> String {
    let run = |more: &[&str]| -> Output {
        let output = within(LIMIT, home.command().args(words).args(more));
        assert_clean(&format!("{words:?} {more:?}"), &output);
        output
    };
    let json = run(&["--output", "json"]);
    if json.status.success() {
        serde_json::from_slice::<Value>(&json.stdout).unwrap_or_else(|e| panic!("{words:?}: {e}"));
    }
    run(&["-vvv"]);
    let output = run(&[]);
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Returns the hostile text without characters that a file name cannot contain.
fn name() -> String {
    HOSTILE.replace(['\0', '/'], "")
}

fn prepared() -> Home {
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    home.ok(&[&["backup", "init", "--backup-key", "file:key"][..], &STORE].concat());
    home
}

#[test]
fn nothing_in_a_file_name_is_obeyed_by_the_terminal() {
    let home = prepared();
    let files = home.path("files");
    std::fs::create_dir_all(files.join(name())).unwrap();
    std::fs::write(files.join(name()).join("content"), "1").unwrap();
    std::fs::write(files.join(std::ffi::OsStr::from_bytes(b"\x9b2J\xff")), "2").unwrap();
    std::os::unix::fs::symlink(name(), files.join("link")).unwrap();
    let _listener = UnixListener::bind(files.join(name().chars().take(20).collect::<String>())).unwrap();

    let key = ["--backup-key", "file:key"];
    let keyed = |words: &[&str]| text_of(&home, &[words, &STORE, &key].concat());
    assert!(keyed(&["backup", "create", "files", "--dry-run"]).contains(ESCAPED));
    assert!(keyed(&["backup", "create", "files"]).contains(ESCAPED), "the socket is named");
    assert!(keyed(&["backup", "ls"]).contains(ESCAPED));
    assert!(keyed(&["backup", "find", "content"]).contains(ESCAPED));
    std::fs::write(files.join(name()).join("content"), "more than before").unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    home.ok(&[&["backup", "create", "files"][..], &STORE, &key].concat());
    let list: Value = home.json(&[&["backup", "list"][..], &STORE].concat());
    let ids: Vec<&str> =
        list["backups"].as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap()).collect();
    let (new, old) = (ids[0], ids[ids.len() - 1]);
    assert!(keyed(&["backup", "diff", old, new]).contains(ESCAPED));
    // A conflict with an existing file, and a message about a name that could not be restored.
    home.ok(&[&["backup", "restore", new, "--target", "t"][..], &STORE, &key].concat());
    let inside = home.path("t").join(files.strip_prefix("/").unwrap()).join(name());
    std::fs::write(inside.join("content"), "changed").unwrap();
    assert!(keyed(&["backup", "restore", new, "--target", "t"]).contains(ESCAPED));
    keyed(&["backup", "verify", "--full"]);
    keyed(&["backup", "prune", "--keep-last", "1", "--dry-run"]);
}

#[test]
fn nothing_in_a_summary_of_a_stranger_is_obeyed_by_the_terminal() {
    let home = prepared();
    std::fs::create_dir(home.path("files")).unwrap();
    std::fs::write(home.path("files/a"), "1").unwrap();
    home.ok(&[&["backup", "create", "files", "--backup-key", "file:key"][..], &STORE].concat());
    // Write access to the store is enough to add such a summary, without any key.
    let folder = home.path("store/snapshots");
    let mut summaries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let real = summaries.find(|path| path.extension().is_some_and(|e| e == "json")).unwrap();
    let mut summary: Value = serde_json::from_slice(&std::fs::read(real).unwrap()).unwrap();
    summary["id"] = "backup_2026-01-02T03-04-05Z_v0.1.0".into();
    hostile(&mut summary, &["id", "time", "version"]);
    std::fs::write(folder.join("backup_2026-01-02T03-04-05Z_v0.1.0.json"), summary.to_string()).unwrap();
    std::fs::write(folder.join("backup_2026-01-03T03-04-05Z_v0.1.0.json"), format!("{{\"{HOSTILE}\": 1"))
        .unwrap();
    let key = ["--backup-key", "file:key"];
    for words in [
        &["backup", "list"][..],
        &["backup", "verify"],
        &["backup", "verify", "--full", "--backup-key", "file:key"],
        &["backup", "key", "list"],
        &["machine", "backup", "list", "demo.localhost"],
        &["machine", "backup", "verify", "demo.localhost"],
    ] {
        text_of(&home, &[words, &STORE].concat());
    }
    for words in [
        &["backup", "ls", "backup_2026-01-02T03-04-05Z_v0.1.0"][..],
        &["backup", "restore", "backup_2026-01-02T03-04-05Z_v0.1.0", "--target", "t"],
        &["backup", "prune", "--keep-last", "1", "--dry-run"],
        &["backup", "find", "a"],
        &["backup", "create", "files"],
    ] {
        text_of(&home, &[words, &STORE, &key].concat());
    }
}

#[test]
fn nothing_in_a_description_or_the_name_of_an_object_is_obeyed_by_the_terminal() {
    let home = prepared();
    let file = home.path("store/cloudron-backup.json");
    let mut description: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for folder in ["keys", "snapshots", "index", "packs"] {
        let folder = home.path("store").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name()), "x").unwrap();
        std::fs::write(folder.join(format!("{}.age", name())), "x").unwrap();
    }
    let key = ["--backup-key", "file:key"];
    let all = || {
        for words in ["list", "verify", "key list", "ls", "repair"] {
            let words: Vec<&str> = ["backup"].into_iter().chain(words.split(' ')).collect();
            let key = if words.len() == 2 && words[1] != "list" { &key[..] } else { &[] };
            text_of(&home, &[&words, &STORE[..], key].concat());
        }
    };
    all();
    hostile(&mut description, &[]);
    std::fs::write(&file, description.to_string()).unwrap();
    all();
    std::fs::write(&file, json!({ "format": HOSTILE, "version": 1 }).to_string()).unwrap();
    all();
    std::fs::write(&file, HOSTILE).unwrap();
    all();
}

/// Appends the hostile text to every string of a value except those in `but`.
fn hostile(value: &mut Value, but: &[&str]) {
    match value {
        Value::String(text) => text.push_str(HOSTILE),
        Value::Array(items) => items.iter_mut().for_each(|item| hostile(item, but)),
        Value::Object(fields) => {
            fields
                .iter_mut()
                .filter(|(name, _)| !but.contains(&name.as_str()))
                .for_each(|(_, v)| hostile(v, but));
        }
        _ => {}
    }
}

#[test]
fn nothing_that_was_typed_is_obeyed_by_the_terminal() {
    let home = Home::new();
    let typed = HOSTILE.replace(['\0', '\n'], "");
    for words in [
        vec![typed.as_str()],
        vec!["machine", &typed],
        vec!["machine", "status", &typed],
        vec!["backup", "list", "--store", &typed],
        vec!["backup", "list", "--store", "s3://b", "--endpoint", &typed],
        vec!["explain", &typed],
        vec!["dns", "plan", &typed, "--provider", "wildcard"],
        vec!["machine", "list", "--output", &typed],
        vec!["machine", "create", "local", "--fqdn", &typed],
    ] {
        let output = within(LIMIT, home.command().args(&words));
        assert_clean(&format!("{words:?}"), &output);
        assert!(!output.status.success(), "{words:?}");
    }
}
