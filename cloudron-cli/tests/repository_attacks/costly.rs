//! Objects of a few bytes that would cost hours or gigabytes.

use cloudron_testkit::forge::{frame, hash, line};
use cloudron_testkit::require;
use serde_json::{Value, json};

use crate::repo::Repo;

/// Memory limit of a run in MiB: more than an honest run needs.
const MEMORY: u64 = 1536;
const SECONDS: u64 = 60;

/// Returns the ID of a writer that has backups, for numbers that are counted per writer.
fn writer(repo: &Repo) -> String {
    let summary = repo.objects("snapshots").into_iter().find(|(key, _)| key.ends_with(".json")).unwrap().1;
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    let mut key = [0; 32];
    match hex(summary["certificate"]["key"].as_str().unwrap_or_default(), &mut key) {
        true => cloudron_testkit::forge::writer_id(&key),
        false => String::new(),
    }
}

fn hex(text: &str, out: &mut [u8; 32]) -> bool {
    text.len() == 64
        && (0..32).all(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).map(|b| out[n] = b).is_ok())
}

#[test]
fn a_note_of_the_forgotten_that_names_a_billion_backups_costs_nothing() {
    let repo = Repo::new();
    let ranges: Vec<_> = (0..100).map(|n| (n * 9_999_999, n * 9_999_999 + 9_999_998)).collect();
    repo.put([repo.stranger().forgotten(&writer(&repo), &ranges)]);
    let run = repo.bounded(&["create", "files"], MEMORY, SECONDS);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let run = repo.bounded(&["prune"], MEMORY, SECONDS);
    assert_eq!(run.code, 0, "{}", run.stderr);
    repo.restores();
}

#[test]
fn a_forged_note_pushes_no_numbers_to_their_end() {
    let repo = Repo::new();
    repo.put([repo.stranger().forgotten(&writer(&repo), &[(u64::MAX - 1, u64::MAX)])]);
    for expected in [3, 4] {
        assert_eq!(repo.create()["sequence"], expected);
    }
    let run = repo.owner(&["verify"]);
    assert!(!run.stdout.contains("missing that no prune removed"), "{}", run.stdout);
}

#[test]
fn forged_keys_cost_nobody_minutes_and_gigabytes() {
    let repo = Repo::new();
    let stranger = repo.stranger();
    repo.put((0..40).map(|n| stranger.wrapped_key(&format!("aaa{n}"), 22, n)));
    let run = repo.bounded(&["verify"], MEMORY, SECONDS);
    assert!([0, 10].contains(&run.code), "{}", run.stderr);
    let run = repo.bounded(&["restore", "latest", "--target", "back"], MEMORY, SECONDS);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn forged_keys_under_the_names_of_real_ones_keep_nobody_from_changing_a_key() {
    let repo = Repo::new();
    let stranger = repo.stranger();
    repo.put((0..3).map(|n| stranger.wrapped_key("main", 22, n)));
    std::fs::write(repo.home.path("new"), "new0key7q2v9x4m1z8w5r3t6y0p2c4b6n8d1f").unwrap();
    let run = repo.bounded(&["key", "change", "--new-key", "file:new"], MEMORY, SECONDS);
    assert_eq!(run.code, 0, "{}", run.stderr);
    std::fs::rename(repo.home.path("new"), repo.home.path("key")).unwrap();
    let run = repo.bounded(&["restore", "latest", "--target", "back"], MEMORY, SECONDS);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

/// Adds the thief's backup with these entries, of the folder that its machine backs up.
fn forged(repo: &Repo, entries: impl Fn(&str) -> Vec<Value>) -> String {
    let thief = repo.thief();
    let id = "backup_2026-11-20T01-02-03Z_v0.1.0";
    let path = repo.home.path("server").display().to_string();
    let sources = json!([{"name": "server", "path": path, "type": "dir"}]);
    let manifest = thief.manifest(id, &sources, &entries(&path));
    let change = json!({"host": "server", "sources": [{"name": "server", "path": path}]});
    repo.put(thief.backup(id, 900, manifest, &change));
    id.to_owned()
}

fn file(path: &str, size: u64, extents: Value, more: u64) -> Value {
    json!({"type": "file", "path": path, "mode": 0o644, "mtime": [0, 0], "size": size, "sha256": hash(b""),
        "extents": extents, "more": more})
}

#[track_caller]
fn ends_in_time(repo: &Repo, id: &str) {
    let run = repo.bounded(&["restore", id, "--target", "forged"], MEMORY, SECONDS);
    assert_ne!(run.code, 0, "{}", run.stdout);
    let run = repo.bounded(&["verify"], MEMORY, SECONDS);
    assert!([0, 10].contains(&run.code), "{}", run.stderr);
    // The forged objects do not block other writers.
    let run = repo.bounded(&["prune"], MEMORY, SECONDS);
    assert!([0, 10].contains(&run.code), "{}", run.stderr);
    repo.create();
}

#[test]
fn a_manifest_that_promises_four_billion_lines_is_refused() {
    let repo = Repo::new();
    let id = forged(&repo, |path| {
        let many: Vec<Value> = vec![json!([null, 1]); 1024];
        let lines = std::iter::repeat_n(json!({"extents": many}), 12_000);
        std::iter::once(file(&format!("{path}/f"), 5, json!([[null, 5]]), u64::from(u32::MAX)))
            .chain(lines)
            .collect()
    });
    ends_in_time(&repo, &id);
}

#[test]
fn a_hole_of_two_to_the_62_is_not_hashed_for_ever() {
    let repo = Repo::new();
    let size = 1u64 << 62;
    let id = forged(&repo, |path| vec![file(&format!("{path}/f"), size, json!([[null, size]]), 0)]);
    ends_in_time(&repo, &id);
}

#[test]
fn a_line_of_an_index_that_claims_four_gigabytes_is_not_believed() {
    let repo = Repo::new();
    let thief = repo.thief();
    let content = b"claimed";
    let pack = thief.pack(&frame(content));
    let claim = (thief.chunk_id(content), 0, u64::from(u32::MAX), content.len() as u64);
    let index = thief.index("index", &[line(&hash(&pack.1), pack.1.len() as u64, &[claim])]);
    repo.put([pack, index]);
    let id = forged_of(&repo, &thief, content);
    ends_in_time(&repo, &id);
}

/// Adds a backup of one file with this content, whose chunk is located by an index.
fn forged_of(repo: &Repo, thief: &cloudron_testkit::forge::Forge, content: &[u8]) -> String {
    let id = "backup_2026-11-20T01-02-03Z_v0.1.0";
    let path = repo.home.path("server").display().to_string();
    let sources = json!([{"name": "server", "path": path, "type": "dir"}]);
    let (entry, _) = thief.file(&format!("{path}/f"), content);
    let manifest = thief.manifest(id, &sources, &[entry]);
    let change = json!({"host": "server", "sources": [{"name": "server", "path": path}]});
    repo.put(thief.backup(id, 900, manifest, &change));
    id.to_owned()
}

#[test]
fn an_index_that_unpacks_to_gigabytes_stops_nobody() {
    let repo = Repo::new();
    let stranger = repo.stranger();
    repo.put([stranger.index_bomb("index", 8192), stranger.index_bomb("condemned", 2048)]);
    for command in [&["create", "files"][..], &["prune"], &["restore", "latest", "--target", "back"]] {
        let run = repo.bounded(command, MEMORY, SECONDS);
        assert_eq!(run.code, 0, "{command:?}: {}", run.stderr);
    }
}

#[test]
fn recover_py_restores_beside_an_index_that_unpacks_to_gigabytes() {
    let Some([_, _, python]) = require::tools(["age", "zstd", "python3"]) else { return };
    let repo = Repo::new();
    let stranger = repo.stranger();
    repo.put([stranger.index_bomb("index", 8192), stranger.index_bomb("condemned", 2048)]);
    let limited = format!("ulimit -v {}; exec {} recover.py latest \"$0\"", 3 << 20, python.display());
    let target = repo.home.path("recovered");
    let out = std::process::Command::new("timeout")
        .args(["120", "sh", "-c", &limited])
        .arg(&target)
        .env("CLOUDRON_BACKUP_KEY_FILE", repo.home.path("key"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(repo.store())
        .output()
        .unwrap();
    let back = target.join(repo.home.path("files/small").strip_prefix("/").unwrap());
    let restored = std::fs::read_to_string(back).unwrap_or_default();
    assert_eq!(restored, "remember", "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn recover_py_names_an_entry_that_makes_no_sense_and_restores_the_others() {
    let Some([_, _, python]) = require::tools(["age", "zstd", "python3"]) else { return };
    let repo = Repo::new();
    let thief = repo.thief();
    let id = "backup_2026-11-20T01-02-03Z_v0.1.0";
    let path = repo.home.path("server").display().to_string();
    let sources = json!([{"name": "server", "path": path, "type": "dir"}]);
    let (good, frame) = thief.file(&format!("{path}/zzz"), b"good");
    let odd = [
        json!({"type": "dir", "path": "/"}),
        json!({"type": "file", "path": format!("{path}/a"), "size": 3}),
        json!({"type": "file", "path": format!("{path}/b"), "size": 3, "sha256": 7, "extents": "none"}),
        json!({"type": "hardlink", "path": format!("{path}/c")}),
        json!({"type": "symlink", "path": format!("{path}/d")}),
        json!({"type": "char", "path": format!("{path}/e"), "rdev": "none"}),
        json!({"type": "file", "path": format!("{path}/\u{0}"), "size": 0}),
        json!({"type": "dir", "path": path, "mode": 0o755}),
        good,
    ];
    let manifest = thief.manifest(id, &sources, &odd);
    let change = json!({"host": "server", "sources": [{"name": "server", "path": path}]});
    repo.put(thief.backup(id, 900, manifest, &change));
    let pack = thief.pack(&frame);
    let chunk = (thief.chunk_id(b"good"), 0, frame.len() as u64, 4);
    let index = thief.index("index", &[line(&hash(&pack.1), pack.1.len() as u64, &[chunk])]);
    repo.put([pack, index]);
    let out = std::process::Command::new(python)
        .args(["recover.py", id])
        .arg(repo.home.path("recovered"))
        .env("CLOUDRON_BACKUP_KEY_FILE", repo.home.path("key"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(repo.store())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!said.contains("Traceback"), "{said}");
    assert!(!out.status.success(), "what was left out shows in the exit code: {said}");
    let back = repo.home.path("recovered").join(path.strip_prefix('/').unwrap()).join("zzz");
    assert_eq!(std::fs::read_to_string(back).unwrap_or_default(), "good", "{said}");
}
