//! recover.py and recover.sh read both formats, and trust only the owner and the writers certified by the owner.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cloudron_testkit::require;
use common::format2::{BACKUPS, Repository, line_of, sample};
use common::noise;
use serde_json::{Value, json};

const LATEST: &str = BACKUPS[2];

fn python() -> Option<PathBuf> {
    require::tools(["age", "zstd", "python3"]).map(|[_, _, python]| python)
}

fn command(python: &Path, r: &Repository, args: &[&str]) -> Command {
    // Forged sizes must not lead to this much memory, in KiB.
    let limited = "ulimit -v 1500000 && exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", limited, "sh"]).arg(python).arg("recover.py").args(args);
    command.env("CLOUDRON_BACKUP_KEY_FILE", r.dir.path().join("key"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(r.path(""));
    command
}

/// Restores a backup. Returns the output, and the target folder.
fn recover(python: &Path, r: &Repository, args: &[&str], name: &str) -> (Output, PathBuf) {
    let target = r.dir.path().join(name);
    let args = [args, &[target.to_str().unwrap()]].concat();
    let out = command(python, r, &args).output().unwrap();
    assert!(!said(&out).contains("Traceback"), "{}", said(&out));
    (out, target.join("srv/sample"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Checks that the files are those of the newest backup.
fn is_whole(folder: &Path) -> bool {
    let list = sample().join("fourth.sha256");
    let checked = Command::new("sha256sum").args(["--quiet", "-c"]).arg(list).current_dir(folder).output();
    checked.is_ok_and(|o| o.status.success())
}

#[track_caller]
fn assert_whole((out, folder): &(Output, PathBuf)) {
    assert!(out.status.success(), "{}", said(out));
    assert!(said(out).contains(LATEST), "{}", said(out));
    assert!(is_whole(folder), "{}", said(out));
}

#[test]
fn both_formats_come_back_whole() {
    let Some(python) = python() else { return };
    for r in [Repository::first(), Repository::new()] {
        let restored = recover(&python, &r, &["latest"], "out");
        assert_whole(&restored);
        assert!(said(&restored.0).lines().count() == 1, "nothing to complain of: {}", said(&restored.0));
        let folder = &restored.1;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(folder.parent().unwrap()), 0o755, "a folder above what was backed up is usable");
        assert_eq!(mode(&folder.join("docs/deep")), 0o750);
        assert_eq!(mode(&folder.join("nothing")), 0o4755);
        assert_eq!(std::fs::read_link(folder.join("link")).unwrap(), Path::new("docs/letter"));
        let (out, folder) = recover(&python, &r, &[BACKUPS[0]], "first");
        assert!(out.status.success(), "{}", said(&out));
        assert_eq!(std::fs::read_to_string(folder.join("docs/letter")).unwrap(), "the first letter\n");
    }
}

#[test]
fn a_lost_or_changed_description_does_not_keep_a_backup_from_coming_back() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    let mut changed = r.json("cloudron-backup.json");
    changed["id"] = "0".repeat(32).into();
    r.put_json("cloudron-backup.json", &changed);
    assert_whole(&recover(&python, &r, &["latest"], "changed"));
    std::fs::remove_file(r.path("cloudron-backup.json")).unwrap();
    let restored = recover(&python, &r, &["latest"], "copy");
    assert_whole(&restored);
    assert!(said(&restored.0).contains("repair"), "{}", said(&restored.0));
    std::fs::remove_dir_all(r.path("copies")).unwrap();
    let restored = recover(&python, &r, &["latest"], "none");
    assert_whole(&restored);
    assert!(said(&restored.0).contains("no description"), "{}", said(&restored.0));
    // A missing key object, too.
    let r = Repository::new();
    std::fs::remove_dir_all(r.path("keys")).unwrap();
    assert_whole(&recover(&python, &r, &["latest"], "keys"));
}

#[test]
fn what_nobody_vouches_for_is_named_and_not_restored() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    let (mut summary, mut manifest) = r.read_backup(LATEST);
    summary["sequence"] = 900.into();
    manifest.truncate(2);
    manifest.push(json!({"type": "end", "entries": 1}));
    let name = |n: u32| format!("backup_2026-11-30T17-00-0{n}Z_v0.1.0");
    // Signed with an unknown key, without a certificate, and with one of another owner.
    let stranger = Repository::new().writer("main", json!({}));
    let mut other = stranger.clone();
    other.key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    r.backup(&name(0), &other, summary.clone(), &manifest);
    other.certificate.as_mut().unwrap()["key"] = hex::encode(other.key.verifying_key().as_bytes()).into();
    r.backup(&name(1), &other, summary.clone(), &manifest);
    // A writer limited to another folder, and a revoked one.
    let limited = r.writer("limited", json!({"paths": ["/srv/other"]}));
    r.backup(&name(2), &limited, summary.clone(), &manifest);
    let host = r.writer("host", json!({"host": "another"}));
    r.backup(&name(3), &host, summary.clone(), &manifest);
    let stolen = r.writer("stolen", json!({}));
    r.backup(&name(4), &stolen, summary.clone(), &manifest);
    r.backup(&name(5), &stolen, summary.clone(), &manifest);
    r.revoke(&stolen, &[]);
    // A manifest that exceeds its summary.
    let mut beyond = manifest.clone();
    beyond[0]["sources"][0]["path"] = "/".into();
    beyond[1]["path"] = "/".into();
    // A summary without a signature, and no summary at all.
    r.put_json(&format!("snapshots/{}.json", name(6)), &summary);
    r.put(&format!("snapshots/{}.json", name(7)), b"[[[[");
    let restored = recover(&python, &r, &["latest"], "out");
    assert_whole(&restored);
    for n in 0..8 {
        assert!(said(&restored.0).contains(&name(n)), "{n} is named: {}", said(&restored.0));
        let (out, folder) = recover(&python, &r, &[&name(n)], &format!("out{n}"));
        assert!(!out.status.success() && !folder.exists(), "{n}: {}", said(&out));
    }
    r.backup(&name(8), &r.main, summary, &beyond);
    let (out, folder) = recover(&python, &r, &[&name(8)], "beyond");
    assert!(!out.status.success() && !folder.exists(), "{}", said(&out));
    // A backup that the user names explicitly is restored.
    let (out, _) = recover(&python, &r, &["--unsigned", &name(4)], "asked");
    assert!(out.status.success() && said(&out).contains("revoked"), "{}", said(&out));
}

#[test]
fn a_revoked_writers_backups_that_the_owner_keeps_come_back() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    r.revoke(&r.main, &[&format!("snapshots/{LATEST}.json")]);
    assert_whole(&recover(&python, &r, &["latest"], "out"));
    let (out, _) = recover(&python, &r, &[BACKUPS[0]], "first");
    assert!(!out.status.success() && said(&out).contains("revoked"), "{}", said(&out));
}

#[test]
fn a_removed_backup_that_was_put_back_and_a_time_in_the_future_are_not_the_latest() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    let (mut summary, manifest) = r.read_backup(BACKUPS[0]);
    summary["sequence"] = 7.into();
    r.backup("backup_2026-11-30T18-00-00Z_v0.1.0", &r.main, summary.clone(), &manifest);
    let id = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(r.main.key.verifying_key().as_bytes()));
    let forgotten = json!({"forgotten": 2, "repository": r.id, "writer": id[..16], "sequences": [[6, 7]]});
    let forgotten = common::forge::sign(forgotten, "forgotten v2", &r.owner.key);
    r.put_hashed("forgotten", forgotten.to_string().as_bytes(), ".json");
    // A record signed by a writer is ignored.
    let forged = json!({"forgotten": 2, "repository": r.id, "writer": id[..16], "sequences": [[1, 5]]});
    let forged = common::forge::sign(forged, "forgotten v2", &r.main.key);
    r.put_hashed("forgotten", forged.to_string().as_bytes(), ".json");
    let ahead = r.writer("ahead", json!({}));
    r.backup("backup_2099-11-30T18-00-00Z_v0.1.0", &ahead, summary, &manifest);
    let restored = recover(&python, &r, &["latest"], "out");
    assert_whole(&restored);
    assert!(said(&restored.0).contains("removed this backup"), "{}", said(&restored.0));
}

/// Writes an index in which every chunk is in a pack of random data.
fn lie(r: &Repository, signing: &common::format2::Signing) -> String {
    let index = r.lines(&r.paths("index")[0]);
    let mut chunks: Vec<Value> = Vec::new();
    let (mut pack, mut offset) = (Vec::new(), 0);
    for chunk in index.iter().filter_map(|l| l["chunks"].as_array()).flatten() {
        let raw = chunk[3].as_u64().unwrap();
        let frame = zstd::encode_all(&noise(raw as usize, 9)[..], 1).unwrap();
        chunks.push(json!([chunk[0], offset, frame.len(), raw]));
        offset += frame.len();
        pack.extend(frame);
    }
    let sealed = r.seal(&pack);
    let name = r.put_hashed("packs", &sealed, ".age");
    let id = &name["packs/".len()..name.len() - 4];
    r.put(&format!("packs/{}/{id}.age", &id[..2]), &sealed);
    r.index("index", signing, &[json!({"pack": id, "size": sealed.len(), "chunks": chunks})])
}

#[test]
fn an_index_that_lies_hides_nothing() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    let stolen = r.writer("stolen", json!({}));
    lie(&r, &stolen);
    assert_whole(&recover(&python, &r, &["latest"], "other"));
    // Even if the forger is the writer of the backup, and comes first.
    let r = Repository::new();
    let honest = r.paths("index")[0].clone();
    let lines: Vec<Value> = r.lines(&honest).into_iter().filter(|l| l.get("pack").is_some()).collect();
    lie(&r, &r.main);
    assert_whole(&recover(&python, &r, &["latest"], "own"));
    std::fs::remove_file(honest).unwrap();
    let (out, _) = recover(&python, &r, &["latest"], "gone");
    assert!(!out.status.success() && said(&out).contains("FAILED"), "{}", said(&out));
    r.index("index", &r.owner, &lines);
    assert_whole(&recover(&python, &r, &["latest"], "owner"));
}

#[test]
fn packs_on_their_way_out_are_read_where_the_owner_says_so() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    let index = r.paths("index")[0].clone();
    let lines: Vec<Value> = r.lines(&index).into_iter().filter(|l| l.get("pack").is_some()).collect();
    std::fs::remove_file(index).unwrap();
    r.index("condemned", &r.owner, &lines);
    assert_whole(&recover(&python, &r, &["latest"], "out"));
}

#[test]
fn an_index_that_cannot_be_is_named_and_not_used() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    let index = r.paths("index")[0].clone();
    let lines: Vec<Value> = r.lines(&index).into_iter().filter(|l| l.get("pack").is_some()).collect();
    let bomb = zstd::encode_all(&vec![b' '; 200 << 20][..], 1).unwrap();
    let bomb = r.put_hashed("index", &r.seal(&bomb), ".age");
    let stranger =
        common::format2::Signing { key: ed25519_dalek::SigningKey::from_bytes(&[7; 32]), certificate: None };
    let foreign = r.index("index", &stranger, &lines);
    let condemned = r.index("condemned", &r.main, &lines);
    let mut odd = lines.clone();
    for line in &mut odd {
        for chunk in line["chunks"].as_array_mut().unwrap() {
            chunk[2] = u32::MAX.into();
        }
    }
    let odd = r.index("index", &r.main, &odd);
    let mut deep = "[".repeat(200_000);
    deep.push('\n');
    let deep = r.put_hashed("index", &r.seal_text(deep.as_bytes()), ".age");
    r.put("index/0000.age", b"no age file");
    let restored = recover(&python, &r, &["latest"], "out");
    assert_whole(&restored);
    for name in [&bomb, &foreign, &condemned, &odd, &deep] {
        assert!(said(&restored.0).contains(name.as_str()), "{name}: {}", said(&restored.0));
    }
}

#[test]
fn one_bad_entry_never_ends_the_restore_of_the_others() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    let (mut summary, manifest) = r.read_backup(LATEST);
    summary["sequence"] = 9.into();
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let hole = 1u64 << 62;
    let mut text = String::new();
    let bad = [
        json!({"type": "file", "path": "/", "sha256": hash}),
        json!({"type": "file", "path": "/srv/sample/a-no-hash"}),
        json!({"type": "file", "path": "/srv/sample/../../outside", "sha256": hash}),
        json!({"type": "file", "path": "/srv/elsewhere", "sha256": hash}),
        json!({"type": "file", "path": ["/srv/sample/a-list"], "sha256": hash}),
        json!({"type": "hardlink", "path": "/srv/sample/a-link", "target": "/etc/passwd"}),
        json!({"type": "file", "path": "/srv/sample/a-hole", "sha256": hash, "size": hole, "extents": [[null, hole]]}),
        json!({"type": "file", "path": "/srv/sample/a-more", "sha256": hash, "size": 9, "extents": [[null, 1]], "more": u32::MAX}),
        json!({"type": "file", "path": "/srv/sample/a-text", "sha256": hash, "size": "9"}),
        json!({"type": "dir", "path": "/srv/sample/a-folder", "mode": "x", "mtime": [1u64 << 63, 0]}),
        json!({"type": "what", "path": "/srv/sample/\u{1b}[2J"}),
        json!(["no entry"]),
    ];
    let mut manifest = manifest;
    manifest[0]["id"] = "backup_2026-11-30T18-00-00Z_v0.1.0".into();
    for (n, line) in manifest.iter().enumerate() {
        text.push_str(&line_of(line));
        if n == 1 {
            bad.iter().for_each(|line| text.push_str(&line_of(line)));
            text.push_str(&format!("{}\n{{cut\n", "[".repeat(200_000)));
        }
    }
    r.backup_text("backup_2026-11-30T18-00-00Z_v0.1.0", &r.main, summary, text.as_bytes());
    let (out, folder) = recover(&python, &r, &["latest"], "out");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(is_whole(&folder), "{}", said(&out));
    assert!(said(&out).matches("FAILED").count() >= bad.len(), "{}", said(&out));
    assert!(!said(&out).contains('\u{1b}'), "what a name holds does not reach the terminal");
    assert!(!r.dir.path().join("out/outside").exists() && !r.dir.path().join("outside").exists());
}

#[test]
fn a_signal_leaves_neither_the_identity_nor_half_a_file_behind() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    let (mut summary, mut manifest) = r.read_backup(LATEST);
    summary["sequence"] = 9.into();
    // A hole of a terabyte takes too long to hash.
    let hole = 1u64 << 40;
    let file = json!({"type": "file", "path": "/srv/sample/a-hole", "sha256": "00".repeat(32), "size": hole, "extents": [[null, hole]]});
    manifest.insert(2, file);
    r.backup("backup_2026-11-30T18-00-00Z_v0.1.0", &r.main, summary, &manifest);
    let memory = || -> Vec<_> {
        let names = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten().map(|e| e.file_name());
        names.filter(|n| n.to_string_lossy().starts_with("recover")).collect()
    };
    let before = memory();
    for signal in ["TERM", "HUP", "INT"] {
        let target = r.dir.path().join(signal);
        let temporary = r.dir.path().join(format!("tmp-{signal}"));
        std::fs::create_dir(&temporary).unwrap();
        let mut command = command(&python, &r, &["latest", target.to_str().unwrap()]);
        command.env("TMPDIR", &temporary).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let halves = || -> Vec<_> {
            let names = std::fs::read_dir(target.join("srv/sample")).into_iter().flatten().flatten();
            names.map(|e| e.file_name()).filter(|n| n.to_string_lossy().starts_with(".recover-")).collect()
        };
        let began = Instant::now();
        while halves().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "{signal}");
            assert_eq!(child.try_wait().unwrap(), None, "{signal}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let out = child.wait_with_output().unwrap();
        assert!(out.status.code().is_some_and(|code| code > 128), "{signal}: {:?}", out.status.signal());
        assert!(halves().is_empty(), "{signal}");
        assert_eq!(memory(), before, "{signal}");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "{signal}");
        assert!(!said(&out).contains("Traceback"), "{signal}: {}", said(&out));
    }
}

#[test]
fn an_old_description_put_back_does_not_bring_back_what_an_old_writer_may_sign() {
    let Some(python) = python() else { return };
    let r = Repository::new();
    // The shared key of format 1, with which a stolen machine could sign anything.
    let keys: Value =
        serde_json::from_slice(&std::fs::read(sample().join("writer-keys.json")).unwrap()).unwrap();
    let mut seed = [0; 32];
    hex::decode_to_slice(keys["signing_seed"].as_str().unwrap(), &mut seed).unwrap();
    let old =
        common::format2::Signing { key: ed25519_dalek::SigningKey::from_bytes(&seed), certificate: None };
    let description = std::fs::read(sample().join("repository/cloudron-backup.json")).unwrap();
    for name in ["cloudron-backup.json", "copies/cloudron-backup.json"] {
        r.put(name, &description);
    }
    let (mut summary, manifest) = r.read_backup(BACKUPS[0]);
    (summary["schema"], summary["sequence"]) = (1.into(), 900.into());
    summary.as_object_mut().unwrap().remove("certificate");
    let id = "backup_2026-11-30T18-00-00Z_v0.1.0";
    r.backup(id, &old, summary.clone(), &manifest);
    let signed = common::forge::sign(r.json(&format!("snapshots/{id}.json")), "summary v1", &old.key);
    r.put_json(&format!("snapshots/{id}.json"), &signed);
    let hash = signed["manifest"]["sha256"].as_str().unwrap();
    std::fs::copy(r.path(&format!("snapshots/{hash}.age")), r.path(&format!("snapshots/{id}.age"))).unwrap();
    let restored = recover(&python, &r, &["latest"], "out");
    assert_whole(&restored);
    assert!(said(&restored.0).contains(id), "{}", said(&restored.0));
}

fn shell(r: &Repository, args: &[&str]) -> Output {
    std::fs::write(r.dir.path().join("identity"), r.identity.expose()).unwrap();
    let mut command = Command::new("sh");
    command.arg("recover.sh").args(args).current_dir(r.path(""));
    command.env("CLOUDRON_IDENTITY_FILE", r.dir.path().join("identity")).output().unwrap()
}

#[test]
fn recover_sh_reads_both_formats_and_says_that_it_checks_no_signatures() {
    if python().is_none() {
        return;
    }
    for r in [Repository::first(), Repository::new()] {
        let listed = shell(&r, &["latest"]);
        assert!(
            listed.status.success() && said(&listed).contains("file /srv/sample/photos/two.jpg\n"),
            "{}",
            said(&listed)
        );
        assert!(said(&listed).contains("Signatures are not checked"), "{}", said(&listed));
        let out = r.dir.path().join("out");
        let got = shell(&r, &["latest", "/srv/sample/docs/letter", out.to_str().unwrap()]);
        assert!(got.status.success(), "{}", said(&got));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "the second letter, longer\n");
        std::fs::remove_file(&out).unwrap();
        std::fs::remove_file(r.path("cloudron-backup.json")).unwrap();
        let got = shell(&r, &[BACKUPS[0], "/srv/sample/docs/letter", out.to_str().unwrap()]);
        assert!(got.status.success(), "{}", said(&got));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "the first letter\n");
    }
}

#[test]
fn recover_sh_finds_a_file_behind_an_index_that_lies() {
    if python().is_none() {
        return;
    }
    let r = Repository::new();
    let stolen = r.writer("stolen", json!({}));
    for _ in 0..3 {
        lie(&r, &stolen);
    }
    for (n, file) in ["docs/letter", "photos/two.jpg", "other/file"].into_iter().enumerate() {
        let out = r.dir.path().join(format!("out{n}"));
        let got = shell(&r, &["latest", &format!("/srv/sample/{file}"), out.to_str().unwrap()]);
        assert!(got.status.success(), "{file}: {}", said(&got));
        let list = std::fs::read(sample().join("fourth.sha256")).unwrap();
        let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(std::fs::read(&out).unwrap()));
        assert!(String::from_utf8_lossy(&list).contains(&format!("{hash}  ./{file}\n")), "{file}");
    }
}

#[test]
fn recover_sh_reads_no_index_to_its_end_that_unpacks_to_much_more_than_it_is_long() {
    if python().is_none() {
        return;
    }
    let r = Repository::new();
    let out = r.dir.path().join("out");
    let restore = || shell(&r, &["latest", "/srv/sample/docs/letter", out.to_str().unwrap()]);
    let mut lines = String::new();
    for index in r.paths("index") {
        r.lines(&index).iter().for_each(|line| lines.push_str(&common::format2::line_of(line)));
    }
    let bomb = |spaces: usize| r.seal_text(&[&vec![b' '; spaces][..], b"\n", lines.as_bytes()].concat());
    r.put_hashed("index", &bomb(20 << 20), ".age");
    let beside = restore();
    assert!(beside.status.success(), "{}", said(&beside));
    std::fs::remove_file(&out).unwrap();
    // What is behind the bound is not read.
    for index in r.paths("index") {
        std::fs::remove_file(index).unwrap();
    }
    r.put_hashed("index", &bomb(20 << 20), ".age");
    let refused = restore();
    assert!(!refused.status.success() && !out.exists(), "{}", said(&refused));
    // What is before it is.
    r.put_hashed("index", &bomb(1000), ".age");
    let found = restore();
    assert!(found.status.success(), "{}", said(&found));
}
