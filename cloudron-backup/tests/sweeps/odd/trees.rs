//! Trees of all kinds are restored.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use cloudron_backup::{BackupRequest, FsStore, Source, VerifyDepth};
use cloudron_core::{Cancel, Progress};
use cloudron_testkit::tree;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::garden::Garden;
use crate::common::{Fixture, noise};
use crate::world::{rounds, seed};

#[tokio::test]
async fn any_tree_restores_as_it_is_after_any_changes() {
    for round in 0..rounds(3) {
        let f = Fixture::new().await;
        let mut garden = Garden::new(f.source(), seed() * 1000 + round);
        for _ in 0..30 {
            garden.plant();
        }
        let mut made = Vec::new();
        for step in 0..4 {
            let summary = f.backup().await;
            assert_eq!((summary.errors, summary.warnings), (0, 0), "round {round}, step {step}");
            f.assert_restores(&summary.id, &format!("out{step}")).await;
            made.push((summary.id, tree::digest(&garden.root).unwrap()));
            for _ in 0..8 {
                garden.change();
            }
        }
        // The older ones are unchanged.
        for (id, digest) in made {
            let target = format!("old-{id}");
            assert!(f.restore(&id, &target).await.unwrap().is_complete());
            let differences = tree::compare(&digest, &tree::digest(&f.restored(&target)).unwrap());
            assert!(differences.is_empty(), "round {round}: {id}: {differences:?}");
        }
    }
}

#[tokio::test]
async fn a_tree_deeper_than_a_path_can_say_comes_back() {
    let f = Fixture::new().await;
    let name = "d".repeat(200);
    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut folder = openat(CWD, f.source(), flags, Mode::empty()).unwrap();
    for _ in 0..40 {
        mkdirat(&folder, name.as_str(), Mode::RWXU).unwrap();
        folder = openat(&folder, name.as_str(), flags, Mode::empty()).unwrap();
    }
    let file = openat(&folder, "bottom", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
    std::io::Write::write_all(&mut std::fs::File::from(file), b"at the bottom").unwrap();
    let summary = f.backup().await;
    assert_eq!((summary.errors, summary.files, summary.entries["dir"]), (0, 1, 41));
    let report = f.restore(&summary.id, "out").await.unwrap();
    assert!(report.is_complete(), "{:?}", report.failed);
    assert!(f.compare(&summary.id, "out").await.is_identical());
    let mut folder = openat(CWD, f.restored("out"), flags, Mode::empty()).unwrap();
    for _ in 0..40 {
        folder = openat(&folder, name.as_str(), flags, Mode::empty()).unwrap();
    }
    assert!(openat(&folder, "bottom", OFlags::RDONLY, Mode::empty()).is_ok());
}

#[tokio::test]
async fn a_tree_of_more_levels_than_files_may_be_open_comes_back() {
    let f = Fixture::new().await;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut folder = openat(CWD, f.source(), flags, Mode::empty()).unwrap();
    let levels = 1200;
    for _ in 0..levels {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = openat(&folder, "d", flags, Mode::empty()).unwrap();
    }
    let summary = f.backup().await;
    assert_eq!((summary.errors, summary.entries["dir"]), (0, levels + 1));
    assert!(f.restore(&summary.id, "out").await.unwrap().is_complete());
    assert!(f.compare(&summary.id, "out").await.is_identical());
}

#[tokio::test]
async fn a_socket_is_left_out_with_a_word() {
    let f = Fixture::new().await;
    let socket = f.source().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(socket.metadata().unwrap().file_type().is_socket());
    let notes = Arc::new(std::sync::Mutex::new(String::new()));
    let sink = notes.clone();
    let progress = Progress::to(move |e| sink.lock().unwrap().push_str(&format!("{e:?}")));
    let summary = f.repo.backup(&f.keys, f.request(), &progress, &Cancel::new()).await.unwrap();
    assert_eq!((summary.errors, summary.entries.len()), (0, 1));
    assert!(notes.lock().unwrap().contains("is a socket"), "{notes:?}");
}

#[tokio::test]
async fn what_is_excluded_is_not_in_a_backup_and_all_else_is() {
    let f = Fixture::new().await;
    let mut garden = Garden::new(f.source(), seed());
    for _ in 0..200 {
        garden.plant();
    }
    for name in ["keep", "drop.tmp", "drop"] {
        f.write(&format!("plain/{name}"), name);
    }
    std::fs::hard_link(f.source().join("plain/drop.tmp"), f.source().join("plain/linked")).unwrap();
    let mut request = f.request();
    let top = f.source().join("plain/drop").display().to_string();
    // Names of one byte: a large part of the tree.
    request.excludes = vec!["*.tmp".into(), top.clone(), "?".into()];
    let summary = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(f.restore(&summary.id, "out").await.unwrap().is_complete());
    let excluded = |path: &Path| {
        path.components().any(|c| {
            let name = c.as_os_str().as_bytes();
            name.len() == 1 || name.ends_with(b".tmp")
        }) || f.source().join(path) == Path::new(&top)
    };
    let paths = |root: &Path| tree::digest(root).unwrap().into_keys().collect::<Vec<_>>();
    let mut expected = paths(&f.source());
    expected.retain(|p| !excluded(p));
    assert_eq!(paths(&f.restored("out")), expected);
    assert_eq!(std::fs::read(f.restored("out").join("plain/linked")).unwrap(), b"drop.tmp");
}

#[tokio::test]
async fn empty_and_huge_things_come_back() {
    let f = Fixture::on(Arc::new(FsStore::new(tempfile::tempdir().unwrap().keep()).unwrap())).await;
    let empty = f.backup().await;
    f.assert_restores(&empty.id, "empty").await;
    // An empty file as a separate source, and a file of more than 4 GiB in the long form, almost all of it a hole.
    let (file, huge) = (f.target("empty file"), f.target("huge"));
    std::fs::write(&file, "").unwrap();
    let sparse = std::fs::File::create(&huge).unwrap();
    // Hashing what a hole reads as takes its time.
    let length = if rounds(1) > 1 { (4 << 30) + 12_345 } else { (200 << 20) + 12_345 };
    std::os::unix::fs::FileExt::write_at(&sparse, &noise(200_000, 1), length - 300_000).unwrap();
    sparse.set_len(length).unwrap();
    let id = f.next_id();
    let request = BackupRequest::new(id.clone(), vec![Source::new("e", &file), Source::new("h", &huge)]);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let summary = f.repo.backup(&f.keys, request, &progress, &cancel).await.unwrap();
    assert_eq!((summary.files, summary.bytes), (2, length));
    assert!(f.restore(&id, "out").await.unwrap().is_complete());
    assert!(f.compare(&id, "out").await.is_identical());
    let back = f.target("out").join(huge.strip_prefix("/").unwrap()).metadata().unwrap();
    assert_eq!(back.len(), length);
    assert!(back.blocks() * 512 < 10 << 20, "{}", back.blocks());
    let report = f.repo.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap();
    assert!(report.is_good());
    std::fs::remove_dir_all(f.store.url().strip_prefix("file://").unwrap()).unwrap();
}

#[tokio::test]
async fn a_folder_of_very_many_files_comes_back() {
    let f = Fixture::new().await;
    let files = if rounds(1) > 1 { 100_000 } else { 10_000 };
    for i in 0..files {
        std::fs::write(f.source().join(format!("{i}")), format!("{i}")).unwrap();
    }
    let summary = f.backup().await;
    assert_eq!(summary.files, files);
    f.assert_restores(&summary.id, "out").await;
}
