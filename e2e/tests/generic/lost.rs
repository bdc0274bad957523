//! The main promise: a server is lost with all its data, and is restored on another one.

use std::process::Command;

use cloudron_e2e::{Cloudron, Server, available};
use cloudron_testkit::tree::{self, Kind};

use super::scene::{BACKUP_KEY, DOMAIN, FILES, Scene};

/// A folder of the server's own data, which is in every backup.
const DATA: &str = "/var/lib/cloudron/data/notes";

#[test]
fn a_lost_server_comes_back_on_a_new_one_byte_for_byte() {
    if !available() {
        return;
    }
    let scene = Scene::with_files("lost", 200_000_000);
    tree::generate(&scene.server.path(DATA), 12, 1_000_000).unwrap();
    scene.server.exec_ok(&format!("chown -h -R cloudron:cloudron {DATA}"));
    let files = tree::digest(&scene.server.path(FILES)).unwrap();
    let data = tree::digest(&scene.server.path(DATA)).unwrap();
    let backup = scene.back_up();
    let repository = scene.laptop.place("repository");
    scene.download_repository(&repository);
    let store = repository.display().to_string();
    scene.server.destroy();

    // Another laptop too: only the copy of the repository and the key are left.
    let later = Scene { server: Server::boot("found"), laptop: Cloudron::new(), backup_key: String::new() };
    let key = later.laptop.secret("backup-key", BACKUP_KEY);
    let list = later.laptop.json(&["machine", "backup", "list", DOMAIN, "--store", &store]);
    assert_eq!(list["backups"][0]["id"], backup.as_str());
    let restored = later.create(&["--backup", &backup, "--store", &store, "--backup-key", &key]);
    assert!(
        restored.stderr.contains("verif") || restored.stdout.contains("verif"),
        "it says that it checked: {restored}"
    );

    let files_now = tree::digest(&later.server.path(FILES)).unwrap();
    let data_now = tree::digest(&later.server.path(DATA)).unwrap();
    assert_eq!(tree::compare(&files, &files_now), Vec::<String>::new());
    assert_eq!(tree::compare(&data, &data_now), Vec::<String>::new());
    let events = later.laptop.ok(&["machine", "eventlog", DOMAIN]).stdout;
    assert!(
        events.contains("cloudron.install") && events.contains("restore"),
        "old events and the new one:\n{events}"
    );
    // The old backups belong to the new machine, which continues their repository.
    assert!(later.laptop.backups(DOMAIN).contains(&backup));
    later.back_up();
}

#[test]
fn one_backup_becomes_a_plain_tar_that_the_systems_tar_reads() {
    if !available() {
        return;
    }
    let scene = Scene::with_files("tar", 2_000_000);
    let mut before = tree::digest(&scene.server.path(FILES)).unwrap();
    let backup = scene.back_up();
    let tar = scene.laptop.place("x.tar");
    let target = tar.display().to_string();
    scene.laptop.ok(&[
        "machine",
        "backup",
        "download",
        DOMAIN,
        &backup,
        "--decrypt",
        "-o",
        &target,
        "--backup-key",
        &scene.backup_key,
    ]);
    let out = scene.laptop.place("out");
    std::fs::create_dir(&out).unwrap();
    let mut extract = Command::new("tar");
    extract.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]).arg(&tar).arg("-C").arg(&out);
    let output = extract.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // A plain tar has no holes; it contains the zeros.
    for entry in before.values_mut() {
        if let Kind::File { sparse, .. } = &mut entry.kind {
            *sparse = false;
        }
    }
    let after = tree::digest(&out.join(FILES.trim_start_matches('/'))).unwrap();
    assert_eq!(tree::compare(&before, &after), Vec::<String>::new());
}

#[test]
fn a_file_in_the_way_is_not_overwritten_by_a_restore_unless_told() {
    if !available() {
        return;
    }
    let scene = Scene::with_files("conflict", 1_000_000);
    scene.back_up();
    let repository = scene.laptop.place("repository");
    scene.download_repository(&repository);
    let store = repository.display().to_string();
    let before = tree::digest(&scene.server.path(FILES)).unwrap();

    let mut later = Scene::bare("in-the-way");
    later.server.exec_ok(&format!("mkdir -p {FILES}/odd && echo mine >{FILES}/odd/block"));
    let restore = ["--backup", "latest", "--store", &store];
    let refused = later.try_create(&restore);
    assert_eq!(refused.code, 5, "{refused}");
    assert_eq!(later.server.exec_ok(&format!("cat {FILES}/odd/block")), "mine\n");
    later.laptop = Cloudron::new();
    later.backup_key = later.laptop.secret("backup-key", BACKUP_KEY);
    later.create(&[&restore[..], &["--overwrite"]].concat());
    let after = tree::digest(&later.server.path(FILES)).unwrap();
    assert_eq!(tree::compare(&before, &after), Vec::<String>::new());
}
