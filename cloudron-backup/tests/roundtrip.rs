//! Backups restore to the same tree.

mod common;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::SystemTime;

use cloudron_backup::RestoreRequest;
use cloudron_core::{Cancel, Progress};
use common::trees::{name, node, plant};
use common::{Fixture, noise};
use proptest::prelude::*;

#[tokio::test]
async fn a_realistic_tree_restores_identical() {
    let f = Fixture::new().await;
    cloudron_testkit::tree::generate(&f.source(), 7, 24 << 20).unwrap();
    let summary = f.backup().await;
    assert_eq!(summary.errors, 0);
    f.assert_restores(&summary.id, "out").await;
}

#[tokio::test]
async fn restoring_to_the_original_place_brings_lost_files_back_and_keeps_the_rest() {
    let f = Fixture::new().await;
    f.write("kept", "kept");
    f.write("deep/down/lost", noise(3 << 20, 1));
    let summary = f.backup().await;
    let before = cloudron_testkit::tree::digest(&f.source()).unwrap();
    std::fs::remove_dir_all(f.source().join("deep")).unwrap();
    let report = f.restore_with(&summary.id, &RestoreRequest::original()).await.unwrap();
    assert_eq!((report.files, report.unchanged, report.failed_count), (2, 1, 0));
    let after = cloudron_testkit::tree::digest(&f.source()).unwrap();
    assert_eq!(cloudron_testkit::tree::compare(&before, &after), Vec::<String>::new());
}

#[tokio::test]
async fn a_part_of_a_backup_restores_alone_even_a_further_name_of_a_file() {
    let f = Fixture::new().await;
    f.write("a/first", "content");
    f.write("b/other", "other");
    std::fs::hard_link(f.source().join("a/first"), f.source().join("b/second")).unwrap();
    std::fs::hard_link(f.source().join("a/first"), f.source().join("b/third")).unwrap();
    let summary = f.backup().await;
    let mut request = RestoreRequest::under(f.target("out"));
    request.only = vec![f.source().join("b")];
    let report = f.restore_with(&summary.id, &request).await.unwrap();
    assert!(report.is_complete(), "{:?}", report.failed);
    let out = f.restored("out");
    assert_eq!(std::fs::read(out.join("b/second")).unwrap(), b"content");
    assert_eq!(std::fs::read(out.join("b/third")).unwrap(), b"content");
    assert!(!out.join("a").exists());
    let compared =
        f.repo.compare(&f.identity, &summary.id, &request, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(compared.is_identical(), "{:?}", compared.differences);

    request.only = vec![f.source().join("nowhere")];
    let error = f.restore_with(&summary.id, &request).await.unwrap_err();
    assert!(error.is(&cloudron_backup::codes::PATH_UNKNOWN));
}

#[tokio::test]
async fn a_hole_in_a_small_file_stays_a_hole() {
    let f = Fixture::new().await;
    f.write("small", "");
    std::fs::File::options().write(true).open(f.source().join("small")).unwrap().set_len(100_000).unwrap();
    let id = f.backup().await.id;
    f.assert_restores(&id, "out").await;
}

#[tokio::test]
async fn a_comparison_names_every_kind_of_difference() {
    let f = Fixture::new().await;
    for name in ["content", "size", "mode", "mtime", "missing", "type"] {
        f.write(name, "content of it");
    }
    symlink("there", f.source().join("link")).unwrap();
    let id = f.backup().await.id;
    f.assert_restores(&id, "out").await;
    let out = f.restored("out");
    let old = std::fs::metadata(out.join("content")).unwrap().modified().unwrap();
    std::fs::write(out.join("content"), "CONTENT OF IT").unwrap();
    common::set_mtime(&out.join("content"), old);
    std::fs::write(out.join("size"), "x").unwrap();
    std::fs::set_permissions(out.join("mode"), PermissionsExt::from_mode(0o600 | 0o111)).unwrap();
    common::set_mtime(&out.join("mtime"), SystemTime::UNIX_EPOCH);
    std::fs::remove_file(out.join("missing")).unwrap();
    std::fs::remove_file(out.join("type")).unwrap();
    std::fs::create_dir(out.join("type")).unwrap();
    std::fs::remove_file(out.join("link")).unwrap();
    symlink("elsewhere", out.join("link")).unwrap();
    let report = f.compare(&id, "out").await;
    let found = |name: &str, what: &str| {
        report.differences.iter().any(|d| d.path == out.join(name) && d.what == what)
    };
    for name in ["content", "size", "mode", "mtime", "missing", "type"] {
        assert!(found(name, name), "{name}: {:?}", report.differences);
    }
    assert!(found("link", "target"));
    assert!(report.identical().is_err());
}

#[tokio::test]
async fn a_sparse_file_stays_sparse() {
    use std::io::{Seek, SeekFrom, Write};
    use std::os::unix::fs::MetadataExt;
    let f = Fixture::new().await;
    let path = f.source().join("sparse");
    let mut file = std::fs::File::create(&path).unwrap();
    for at in [0u64, 5 << 20, 900 << 20] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&noise(300_000, at as u8)).unwrap();
    }
    file.set_len(2 << 30).unwrap();
    drop(file);
    let summary = f.backup().await;
    assert!(summary.added_bytes < 2 << 20, "{}", summary.added_bytes);
    assert!(f.restore(&summary.id, "out").await.unwrap().is_complete());
    let out = f.restored("out").join("sparse");
    let (was, is) = (std::fs::metadata(&path).unwrap(), std::fs::metadata(&out).unwrap());
    assert_eq!(was.len(), is.len());
    assert!(is.blocks() <= was.blocks() + 1024, "{} {}", was.blocks(), is.blocks());
    assert!(f.compare(&summary.id, "out").await.is_identical());
}

#[tokio::test]
async fn a_tar_of_a_backup_holds_the_same_tree() {
    let f = Fixture::new().await;
    cloudron_testkit::tree::generate(&f.source(), 3, 6 << 20).unwrap();
    let id = f.backup().await.id;
    let out = f.target("x.tar");
    let file = std::fs::File::create(&out).unwrap();
    f.repo.export_tar(&f.identity, &id, file, &Progress::none(), &Cancel::new()).await.unwrap();
    let Some(tar) = cloudron_testkit::require::tool("tar") else { return };
    std::fs::create_dir(f.target("untarred")).unwrap();
    let status = std::process::Command::new(tar)
        .args(["--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&out)
        .arg("-C")
        .arg(f.target("untarred"))
        .status()
        .unwrap();
    assert!(status.success());
    let digest = |path| cloudron_testkit::tree::digest(path).unwrap();
    let mut differences =
        cloudron_testkit::tree::compare(&digest(&f.source()), &digest(&f.restored("untarred")));
    // A plain tar stores holes as zeros.
    differences.retain(|d| !d.contains("sparse false"));
    assert_eq!(differences, Vec::<String>::new());
}

#[tokio::test]
async fn excluded_files_the_cache_and_the_repository_itself_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = cloudron_backup::open_store(dir.path().join("in/store").to_str().unwrap()).unwrap();
    let f = Fixture::on(store).await;
    let inside = dir.path().join("in");
    std::fs::write(inside.join("keep"), "x").unwrap();
    std::fs::write(inside.join("drop.tmp"), "x").unwrap();
    let mut request = f.request();
    request.sources = vec![cloudron_backup::Source::new("in", &inside)];
    request.excludes = vec!["*.tmp".into()];
    request.cache_dir = Some(inside.join("cache"));
    let summary = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap();
    assert_eq!(summary.files, 1);
    assert_eq!(summary.entries["dir"], 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_restores_identical(trees in proptest::collection::vec(proptest::collection::vec((name(), node()), 0..6), 1..3)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = Fixture::new().await;
            let mut first = None;
            // Each further tree is added to the existing files: an incremental backup.
            for (i, tree) in trees.iter().enumerate() {
                for (name, node) in tree {
                    plant(&f.source(), name, node, &mut first);
                }
                let summary = f.backup().await;
                assert_eq!(summary.errors, 0);
                f.assert_restores(&summary.id, &format!("out{i}")).await;
            }
        });
    }
}
