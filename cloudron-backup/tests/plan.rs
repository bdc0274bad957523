//! Dry runs of backups.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cloudron_backup::{BackupPlan, BackupRequest, codes};
use cloudron_core::{Cancel, Progress};
use common::{Fixture, noise};

/// Returns the plan, and the files that would be read.
async fn plan(f: &Fixture, request: &BackupRequest) -> (BackupPlan, Vec<PathBuf>) {
    let read = Arc::new(Mutex::new(Vec::new()));
    let into = read.clone();
    let each = move |file: cloudron_backup::PlannedFile| into.lock().unwrap().push(file.path);
    let plan = f.repo.plan_backup(&f.keys, request, each, &Progress::none(), &Cancel::new()).await.unwrap();
    let read: Vec<PathBuf> = std::mem::take(&mut read.lock().unwrap());
    assert_eq!(plan.read_files, read.len() as u64);
    (plan, read)
}

/// Returns every file below a folder with its content and the time of its last change.
fn state(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.append(&mut state(&entry.path()));
        } else {
            let changed = entry.metadata().unwrap().modified().unwrap();
            found.insert(entry.path(), (std::fs::read(entry.path()).unwrap(), changed));
        }
    }
    found
}

#[tokio::test]
async fn a_plan_says_what_the_backup_then_does_and_writes_nothing() {
    let f = Fixture::new().await;
    f.write("small", "text");
    f.write("large", noise(3 << 20, 1));
    let request = f.request();
    let before = f.keys_under("").await;
    let (planned, read) = plan(&f, &request).await;
    assert_eq!(f.keys_under("").await, before, "the store is as it was");
    assert!(!f.dir.path().join("cache").exists(), "no cache was made");
    assert_eq!(read, [f.source().join("large"), f.source().join("small")]);
    assert_eq!(planned.read_bytes, (3 << 20) + 4);

    let made = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap();
    assert_eq!((planned.files, planned.bytes, &planned.entries), (made.files, made.bytes, &made.entries));
    assert!(planned.added_bytes.abs_diff(made.added_bytes) < 200, "{planned:?} {made:?}");

    // Nothing new: the stored content is known.
    let (store, cache) = (f.keys_under("").await, state(&f.dir.path().join("cache")));
    assert!(!cache.is_empty());
    let (again, _) = plan(&f, &f.request()).await;
    assert!(again.added_bytes < 2000, "{again:?}");
    assert_eq!(f.keys_under("").await, store);
    assert_eq!(state(&f.dir.path().join("cache")), cache, "the cache is as it was");
}

#[tokio::test]
async fn what_did_not_change_would_not_be_read() {
    let f = Fixture::new().await;
    f.write("kept", noise(1 << 20, 1));
    f.write("changed", "1");
    // Files that have just changed are always read again.
    tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
    f.backup().await;
    f.write("changed", "12");
    f.write("new", noise(1 << 20, 2));
    let (planned, read) = plan(&f, &f.request()).await;
    assert_eq!(read, [f.source().join("changed"), f.source().join("new")]);
    assert_eq!((planned.files, planned.read_files, planned.read_bytes), (3, 2, (1 << 20) + 2));
    assert!((1 << 20..1_100_000).contains(&planned.added_bytes), "{planned:?}");
}

#[tokio::test]
async fn a_plan_fails_where_the_backup_would() {
    let f = Fixture::new().await;
    f.write("a", "1");
    let made = f.backup().await;
    let mut request = f.request();
    request.id = made.id;
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let refused = f.repo.plan_backup(&f.keys, &request, |_| (), &progress, &cancel).await.unwrap_err();
    assert!(refused.is(&codes::BACKUP_EXISTS));
    let mut request = f.request();
    request.sources[0].path = "/does/not/exist".into();
    let refused = f.repo.plan_backup(&f.keys, &request, |_| (), &progress, &cancel).await.unwrap_err();
    assert!(refused.is(&codes::SOURCE_MISSING));
}
