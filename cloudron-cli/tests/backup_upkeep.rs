//! `cloudron backup`: other inputs and outputs than folders, and keeping a repository small.

mod common;

use std::io::Write;
use std::process::Stdio;

use cloudron_testkit::require;
use common::{FAST_KEY, Home, Run};

const KEY: [&str; 4] = ["--store", "store", "--backup-key", "file:key"];

fn prepared() -> Home {
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    std::fs::create_dir(home.path("files")).unwrap();
    std::fs::write(home.path("files/note"), "remember").unwrap();
    home.ok(&[&["backup", "init"][..], &KEY].concat());
    home
}

fn with_key(home: &Home, command: &[&str]) -> Run {
    home.run(&[command, &KEY].concat())
}

#[track_caller]
fn ok(home: &Home, command: &[&str]) -> String {
    home.ok(&[command, &KEY].concat())
}

fn create(home: &Home) -> String {
    let made = home.json(&["backup", "create", "files", "--store", "store"]);
    made["backup"]["id"].as_str().unwrap().to_owned()
}

/// Runs the program with this standard input.
fn piped(home: &Home, arguments: &[&str], input: &[u8]) -> Run {
    let mut child = home
        .command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

#[test]
fn standard_input_becomes_a_file_of_a_backup() {
    let home = prepared();
    let dump: Vec<u8> = (0..3_000_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let made = piped(&home, &["backup", "create", "--stdin", "app.sql", "--store", "store"], &dump);
    assert_eq!(made.code, 0, "{}", made.stderr);
    ok(&home, &["backup", "restore", "latest", "--target", "t"]);
    assert_eq!(std::fs::read(home.path("t/stdin/app.sql")).unwrap(), dump);
    let two = piped(&home, &["backup", "create", "files", "--stdin", "x", "--store", "store"], b"");
    two.failed_usage("--stdin");
}

#[test]
fn an_export_opens_with_age_zstd_and_tar() {
    let home = prepared();
    let id = create(&home);
    ok(&home, &["backup", "export", "--decrypt", "-o", "plain.tar"]);
    let names = |tar: &[u8]| -> Vec<String> {
        let mut archive = tar::Archive::new(tar);
        archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect()
    };
    let plain = std::fs::read(home.path("plain.tar")).unwrap();
    assert!(names(&plain).iter().any(|n| n.ends_with("files/note")));
    with_key(&home, &["backup", "export", "--decrypt", "-o", "plain.tar"]).failed(
        5,
        "export-exists",
        "plain.tar",
    );
    let piped =
        home.command().args(["backup", "export", "latest", "--decrypt", "-o", "-"]).args(KEY).output();
    assert_eq!(piped.unwrap().stdout, plain);
    let Some([age, keygen, zstd]) = require::tools(["age", "age-keygen", "zstd"]) else { return };
    let identity = std::process::Command::new(keygen).output().unwrap().stdout;
    std::fs::write(home.path("identity"), &identity).unwrap();
    let text = String::from_utf8(identity).unwrap();
    let recipient = text.lines().find_map(|l| l.strip_prefix("# public key: ")).unwrap();
    ok(&home, &["backup", "export", &id, "--recipient", recipient]);
    let sealed = home.path(&format!("{id}.tar.zst.age"));
    let opened = std::process::Command::new("sh")
        .args(["-c", "\"$1\" -d -i \"$2\" \"$3\" | \"$4\" -q -d", "sh"])
        .args([&age, &home.path("identity"), &sealed, &zstd])
        .output()
        .unwrap();
    assert_eq!(opened.stdout, plain, "{}", String::from_utf8_lossy(&opened.stderr));
}

#[test]
fn a_backup_of_the_original_program_is_taken_in() {
    if require::tools(["openssl", "tar"]).is_none() {
        return;
    }
    let home = prepared();
    std::fs::write(home.path("old.key"), "it's \"old\" $key").unwrap();
    let name = "backup_2016-12-01-030405123_v0.97.0.tar.gz";
    let script = "tar -czf - -C files . | openssl enc -aes-256-cbc -md md5 -pass file:old.key > \"$0\"";
    let made = std::process::Command::new("sh")
        .args(["-c", script, name])
        .current_dir(home.dir())
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    with_key(&home, &["backup", "import", name]).failed(4, "old-backup-key", "");
    std::fs::write(home.path("wrong"), "not the old key").unwrap();
    with_key(&home, &["backup", "import", name, "--old-key", "file:wrong"]).failed(4, "old-backup-key", "");
    let imported = ok(&home, &["backup", "import", name, "--old-key", "file:old.key"]);
    assert!(imported.starts_with("backup_2016-12-01T03-04-05Z_v0.97.0"), "{imported}");
    ok(&home, &["backup", "restore", "latest", "--target", "t"]);
    let back = home.path("t/imported/backup_2016-12-01-030405123_v0.97.0/note");
    assert_eq!(std::fs::read_to_string(back).unwrap(), "remember");
}

#[test]
fn chosen_backups_are_copied_into_a_repository_with_another_key() {
    let home = prepared();
    let id = create(&home);
    std::fs::write(home.path("other"), "other0key1q2v9x4m7z8w5r3t6y0p2c4b6n8d1f").unwrap();
    home.ok(&["backup", "init", "--store", "other-store", "--backup-key", "file:other"]);
    let copied = ok(&home, &["backup", "copy", &id, "--to", "other-store"]);
    assert!(copied.starts_with(&format!("copied  {id}")), "{copied}");
    let again = ok(&home, &["backup", "copy", "latest", "--to", "other-store"]);
    assert!(again.starts_with(&format!("there   {id}")), "{again}");
    let other = ["--store", "other-store", "--backup-key", "file:other", "--target", "t"];
    home.ok(&[&["backup", "restore", &id][..], &other].concat());
    with_key(&home, &["backup", "copy", &id, "--to", "nowhere"]).failed(3, "repository-missing", "nowhere");
}

#[test]
fn pruning_keeps_what_the_policy_says_and_gives_back_room() {
    let home = prepared();
    let noise = |seed: u8| -> Vec<u8> {
        let mut state = u64::from(seed) + 1;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(2_000_000).collect()
    };
    std::fs::write(home.path("files/noise"), noise(1)).unwrap();
    let first = create(&home);
    std::fs::write(home.path("files/noise"), noise(2)).unwrap();
    let second = create(&home);
    let size = || -> u64 {
        let mut folders = vec![home.path("store")];
        let mut size = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let meta = entry.metadata().unwrap();
                if meta.is_dir() { folders.push(entry.path()) } else { size += meta.len() }
            }
        }
        size
    };
    let before = size();
    assert!(before > 4_000_000);
    let dry = ok(&home, &["backup", "prune", "--keep-last", "1", "--dry-run"]);
    assert!(dry.contains(&format!("remove  {first}")) && dry.contains("would be removed"), "{dry}");
    assert_eq!(size(), before, "a dry run writes nothing");
    let done = ok(&home, &["backup", "prune", "--keep-last", "1", "--grace", "0"]);
    assert!(done.contains(&format!("keep    {second}")), "{done}");
    assert!(size() < before - 1_900_000, "{before} is {} now: {done}", size());
    ok(&home, &["backup", "verify", "--full"]);
    ok(&home, &["backup", "restore", "latest", "--target", "t"]);
    with_key(&home, &["backup", "restore", &first, "--target", "u"]).failed(3, "backup-unknown", &first);
    // There is nothing left to do, and the newest backup is kept unless it is named.
    ok(&home, &["backup", "prune", "--keep-last", "1", "--grace", "0"]);
    with_key(&home, &["backup", "prune", "--remove", &second]).failed(2, "needs-answer", "--yes");
    ok(&home, &["backup", "prune", "--remove", &second, "--yes", "--grace", "0"]);
    assert!(home.json(&["backup", "list", "--store", "store"])["backups"].as_array().unwrap().is_empty());
}

#[test]
fn a_lost_index_is_made_anew() {
    let home = prepared();
    create(&home);
    std::fs::remove_dir_all(home.path("store/index")).unwrap();
    with_key(&home, &["backup", "verify"]).failed(10, "verify-failed", "");
    ok(&home, &["backup", "repair"]);
    ok(&home, &["backup", "verify", "--full"]);
    ok(&home, &["backup", "restore", "latest", "--target", "t", "--compare"]);
}
