//! A forged manifest, made with a writer's keys, does no harm to its readers.

mod common;

use std::path::Path;

use cloudron_backup::{ExportFormat, codes};
use cloudron_core::{BackupId, Cancel, Error, Progress};
use common::{Fixture, forge};
use serde_json::{Value, json};

/// Returns a repository with one backup of a folder and a file, and the lines of its manifest.
async fn made() -> (Fixture, BackupId, Vec<Value>) {
    let f = Fixture::new().await;
    f.write("file", "content");
    let id = f.backup().await.id;
    let lines = forge::manifest(&f, &id).await;
    (f, id, lines)
}

/// Adds entries after the first `keep` ones of a manifest, and ends it properly.
async fn add(f: &Fixture, id: &BackupId, lines: &[Value], keep: usize, entries: &[Value]) {
    let mut forged = lines[..=keep].to_vec();
    forged.extend_from_slice(entries);
    forged.push(json!({"type": "end", "entries": forged.len() - 1}));
    forge::replace(f, id, &forged).await;
}

/// Returns the results of the operations that read manifests.
async fn read(f: &Fixture, id: &BackupId, target: &str) -> Vec<(&'static str, Result<(), Error>)> {
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let tar = f.target(&format!("{target}.tar"));
    let to = Fixture::new().await;
    let ids = [id.clone()];
    let copied = f.repo.copy_snapshots(&f.identity, &ids, (&to.repo, &to.keys), &progress, &cancel).await;
    vec![
        (
            "export",
            f.repo
                .export_to_file(&f.identity, id, ExportFormat::Tar, tar, &progress, &cancel)
                .await
                .map(drop),
        ),
        ("restore", f.restore(id, target).await.map(drop)),
        ("list", f.repo.entries(&f.identity, id, &[], |_| Ok(()), &progress, &cancel).await.map(drop)),
        (
            "copy",
            copied.and_then(|report| match report.copied.is_empty() {
                true => Err(Error::new(&codes::SNAPSHOT_CORRUPT, format!("{report:?}"))),
                false => Ok(()),
            }),
        ),
    ]
}

async fn all_refuse(f: &Fixture, id: &BackupId, case: &str) {
    for (what, result) in read(f, id, &format!("out-{}", case.len())).await {
        let error = result.expect_err(&format!("{what} took {case}"));
        assert!(error.is(&codes::SNAPSHOT_CORRUPT), "{what} of {case}: {error}");
    }
}

#[tokio::test]
async fn no_name_leaves_the_target_of_an_export_or_a_restore() {
    let (f, id, lines) = made().await;
    let source = f.source().display().to_string();
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let file = |path: &str| json!({"type": "file", "path": path, "sha256": hash});
    let outside = f.dir.path().join("outside");
    let climbs = format!("{source}/../outside");
    let cases: Vec<(&str, Vec<Value>)> = vec![
        ("..", vec![file(&climbs)]),
        ("//", vec![file(&format!("/{}", outside.display()))]),
        ("elsewhere", vec![file(&outside.display().to_string())]),
        ("relative", vec![file("outside")]),
        ("NUL", vec![file(&format!("{source}/a\0b"))]),
        (
            "below a link",
            vec![
                json!({"type": "symlink", "path": format!("{source}/l"), "target": f.dir.path()}),
                file(&format!("{source}/l/outside")),
            ],
        ),
        (
            "a hard link by way of a link",
            vec![
                json!({"type": "symlink", "path": format!("{source}/l"), "target": "/etc"}),
                json!({"type": "hardlink", "path": format!("{source}/m"), "target": format!("{source}/l/passwd")}),
            ],
        ),
        (
            "a hard link to outside",
            vec![json!({"type": "hardlink", "path": format!("{source}/m"), "target": "/etc/passwd"})],
        ),
    ];
    for (case, entries) in cases {
        add(&f, &id, &lines, 1, &entries).await;
        all_refuse(&f, &id, case).await;
        assert!(!outside.exists(), "{case}");
    }
    // A manifest that exceeds its summary, which is limited by a certificate.
    let mut further = lines.clone();
    further[0]["sources"][0]["path"] = "/".into();
    forge::replace(&f, &id, &further).await;
    all_refuse(&f, &id, "a manifest that goes further than its summary").await;
    forge::replace(&f, &id, &lines).await;
    for (what, result) in read(&f, &id, "honest").await {
        result.expect(what);
    }
}

#[tokio::test]
async fn sizes_and_counts_cost_nothing_before_they_are_believed() {
    let (f, id, lines) = made().await;
    let path = f.source().join("x").display().to_string();
    let file = |size: u64, extents: Value| json!({"type": "file", "path": path, "size": size, "sha256": "00".repeat(32), "extents": extents});
    let mut endless = file(1 << 30, json!([[null, 1]]));
    endless["more"] = json!(u32::MAX);
    let many: Vec<Value> = (0..2000).map(|_| json!([null, 1])).collect();
    let began = std::time::Instant::now();
    for (case, entry) in [
        ("a hole of 2^62", file(1 << 62, json!([[null, 1u64 << 62]]))),
        ("holes that overflow", file(0, json!([[null, u64::MAX], [null, 1]]))),
        ("lines without end", endless),
        ("more extents than a line has", file(2000, Value::from(many))),
        ("an extent behind a chunk", file(10, json!([["00".repeat(32), 10, u32::MAX]]))),
    ] {
        add(&f, &id, &lines, 1, &[entry]).await;
        all_refuse(&f, &id, case).await;
    }
    // Further lines, as many as the entry says, but more than a file can have.
    let more = format!("{}\n", json!({"extents": (0..1024).map(|_| json!([null, 1])).collect::<Vec<_>>()}));
    let mut text = format!("{}\n{}\n", lines[0], lines[1]);
    let mut entry = file(u64::from(u32::MAX), json!([]));
    entry["more"] = json!(20_000);
    text.push_str(&format!("{entry}\n"));
    text.push_str(&more.repeat(2000));
    forge::replace_text(&f, &id, text.as_bytes()).await;
    all_refuse(&f, &id, "too many lines").await;
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_hole_that_the_file_system_cannot_hold_is_found_out_at_once() {
    let (f, id, lines) = made().await;
    let path = f.source().join("x").display().to_string();
    let length = 16u64 << 40;
    let hole = json!({"type": "file", "path": path, "size": length, "sha256": "00".repeat(32), "extents": [[null, length]]});
    add(&f, &id, &lines, 2, &[hole]).await;
    // On a file system for 16 TiB, hashing them would take hours: it is cancelled.
    let cancel = Cancel::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        later.cancel();
    });
    let request = cloudron_backup::RestoreRequest::under(f.target("out"));
    let restored = f.repo.restore(&f.identity, &id, &request, &Progress::none(), &cancel).await;
    match restored {
        Ok(report) => assert_eq!(report.failed.len(), 1, "{:?}", report.failed),
        Err(e) => assert!(e.is(&cloudron_core::codes::INTERRUPTED), "{e}"),
    }
    assert!(!Path::new(&f.restored("out").join("x")).exists());
}
