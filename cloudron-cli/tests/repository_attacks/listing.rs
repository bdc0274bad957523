//! The list of backups: unsigned objects are ignored, block nothing, and reach no terminal unescaped.

use serde_json::json;

use crate::repo::{Repo, noise};

#[test]
fn an_unsigned_summary_with_a_late_number_hides_no_backup_and_stops_no_prune() {
    let repo = Repo::new();
    let newest = repo.ids().pop().unwrap();
    let stranger = repo.stranger();
    let id = "backup_2026-11-30T23-59-59Z_v0.1.0";
    repo.put([stranger.summary(id, 1 << 40, b"nothing", &json!({}))]);
    let run = repo.owner(&["restore", "latest", "--target", "back"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains(id), "the object that counts for nothing is named: {}", run.stderr);
    repo.prune(&[]);
    assert!(repo.ids().contains(&newest));
}

#[test]
fn a_summary_of_the_year_2099_hides_no_later_backup() {
    let repo = Repo::new();
    for (n, time) in
        ["2099-01-01T00-00-00Z", "1971-01-01T00-00-00Z", "9999-01-01T00-00-00Z"].iter().enumerate()
    {
        let id = format!("backup_{time}_v0.1.0");
        repo.put(repo.stranger().backup(
            &id,
            u64::MAX - n as u64,
            format!("nothing {n}").into_bytes(),
            &json!({}),
        ));
    }
    let made = repo.create()["id"].as_str().unwrap().to_owned();
    let run = repo.owner(&["restore", "latest", "--target", "back"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    repo.prune(&[]);
    assert!(repo.ids().contains(&made));
}

#[test]
fn a_newest_summary_that_was_overwritten_is_named_when_the_latest_is_asked_for() {
    let repo = Repo::new();
    let newest = repo.ids().pop().unwrap();
    let path = repo.store().join(format!("snapshots/{newest}.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"files\"", "\"filez\"", 1)).unwrap();
    let run = repo.owner(&["restore", "latest", "--target", "back"]);
    assert!(run.stderr.contains(&newest), "an older backup was restored without a word: {}", run.stderr);
}

#[test]
fn what_somebody_wrote_into_a_summary_does_not_reach_the_terminal() {
    let repo = Repo::new();
    let odd = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";
    let change = json!({"host": odd, "fqdn": odd, "tags": [odd], "sources": [{"name": odd, "path": format!("/{odd}")}]});
    repo.put([repo.stranger().summary("backup_2026-11-30T23-59-59Z_v0.1.0", 1 << 40, b"nothing", &change)]);
    for command in [&["list"][..], &["list", "--tag", "x"], &["find", "small"], &["prune"], &["verify"]] {
        let run = repo.owner(command);
        let shown = format!("{}{}", run.stdout, run.stderr);
        for raw in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'] {
            assert!(!shown.contains(raw), "{command:?} shows {raw:?}: {shown:?}");
        }
    }
    let run = repo.anybody(&["list"]);
    let shown = format!("{}{}", run.stdout, run.stderr);
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{9b}'), "{shown:?}");
}

#[test]
fn a_list_says_which_summaries_nobody_signed() {
    let repo = Repo::new();
    let id = "backup_2026-11-30T23-59-59Z_v0.1.0";
    repo.put([repo.stranger().summary(id, 9, b"nothing", &json!({"host": "laptop"}))]);
    let run = repo.anybody(&["list"]);
    let named = run.stderr.contains(id) || !run.stdout.contains(id) || run.stdout.contains("not signed");
    assert!(named, "a forged backup is listed as if it were one: {}", run.stdout);
}

#[test]
fn the_place_of_a_backup_that_somebody_took_stops_no_machine() {
    let repo = Repo::new();
    let stranger = repo.stranger();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let known = repo.ids();
    let version = known[0].rsplit("_v").next().unwrap();
    for second in now..now + 20 {
        let time = date(second);
        let id = format!("backup_{time}_v{version}");
        if known.contains(&id) {
            continue;
        }
        repo.put([stranger.tombstone(&id)]);
        repo.put([(format!("snapshots/{id}.age"), b"taken".to_vec())]);
    }
    repo.write("more", &noise(1000, 3));
    repo.create();
    assert_eq!(repo.ids().iter().filter(|id| !known.contains(id)).count(), 1);
    repo.prune(&[]);
    repo.write("more", &noise(1000, 3));
    let run = repo.owner(&["restore", "latest", "--target", "back"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

/// Formats seconds since 1970 as in backup IDs.
fn date(second: u64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{second}"), "+%Y-%m-%dT%H-%M-%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_forged_lock_stops_no_prune() {
    let repo = Repo::new();
    let stranger = repo.stranger();
    for what in ["prune", "repair"] {
        let name = format!("{what}-0123456789abcdef");
        repo.put([stranger.lock(&name, &json!({"expiry": 86400}))]);
    }
    repo.prune(&[]);
    assert_eq!(repo.owner(&["repair"]).code, 0);
    repo.restores();
}

#[test]
fn without_a_key_a_check_does_not_say_that_nothing_is_missing_when_packs_are() {
    let repo = Repo::new();
    std::fs::remove_dir_all(repo.store().join("packs")).unwrap();
    let run = repo.anybody(&["verify"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(!said.contains("nothing is damaged or missing"), "{said}");
}

#[test]
fn one_pack_that_is_withheld_is_named_and_stops_every_prune() {
    let repo = Repo::new();
    let (lost, content) = repo.objects("packs").into_iter().max_by_key(|(_, content)| content.len()).unwrap();
    std::fs::remove_file(repo.store().join(&lost)).unwrap();
    let before = repo.objects("");
    let run = repo.owner(&["verify"]);
    assert_eq!(run.code, 10, "{}", run.stderr);
    assert!(format!("{}{}", run.stdout, run.stderr).contains(&lost), "{}", run.stderr);
    // Which packs there should be is in the index, which takes the key.
    let run = repo.anybody(&["verify"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(
        !said.contains("nothing is damaged or missing") && said.contains("not checked: whether the packs"),
        "{said}"
    );
    let prune = ["prune", "--keep-last", "1", "--grace", "0", "--allow-removals"];
    repo.owner(&prune).failed(10, "prune-missing", "nothing was deleted");
    repo.owner(&[&prune[..], &["--dry-run"]].concat()).failed(
        10,
        "prune-missing",
        "nothing would be deleted",
    );
    assert_eq!(repo.objects(""), before);
    // With the pack, it prunes.
    repo.put([(lost, content)]);
    repo.prune(&[]);
}

#[test]
fn a_fifo_in_the_place_of_the_description_does_not_hang() {
    let repo = Repo::new();
    let path = repo.store().join("cloudron-backup.json");
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let run = repo.bounded(&["list"], 4096, 20);
    assert!([0, 6].contains(&run.code), "{} {}", run.code, run.stderr);
}
