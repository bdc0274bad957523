//! Whatever fails, every listed backup restores, and no complete one is lost.

mod common;

use std::sync::Arc;

use bytes::Bytes;
use cloudron_backup::{
    BackupStore, InitOptions, MemoryStore, Repository, RestoreRequest, VerifyDepth, VerifyReport, codes,
};
use cloudron_core::{Cancel, ErrorKind, Progress, Secret};
use common::{Failing, Fixture, KEY, noise};

async fn verify(f: &Fixture, depth: VerifyDepth) -> VerifyReport {
    f.repo.verify(depth, Some(&f.identity), &Progress::none(), &Cancel::new()).await.unwrap()
}

/// Writes several packs, a large file, small ones.
fn fill(f: &Fixture) {
    for i in 0..3 {
        f.write(&format!("large{i}"), noise(6 << 20, i));
    }
    for i in 0..50 {
        f.write(&format!("small/{i}"), format!("small file {i}"));
    }
}

#[tokio::test]
async fn a_backup_cut_off_at_any_call_to_the_store_harms_nothing() {
    let mut calls = 0;
    // With a new repository each time: objects of an interrupted run change the number of calls of the next.
    while cut_off_after(calls).await {
        calls += 1;
        assert!(calls < 100, "a backup never came to an end");
    }
    assert!(calls > 5, "only {calls} calls were made to fail");
}

/// Interrupts the second backup of a repository after this number of calls, and makes a third. Returns false
/// if the second was completed.
async fn cut_off_after(calls: u64) -> bool {
    let f = Fixture::new().await;
    f.write("old", noise(400_000, 9));
    let first = f.backup().await.id;
    fill(&f);
    // One more call opens the repository, so that every failing call belongs to the backup itself.
    let broken = Repository::open(Failing::after(&f.store, calls + 1, &cloudron_core::codes::IO)).await;
    let made = f.try_backup(&broken.unwrap()).await;
    let listed: Vec<_> = f.repo.snapshots().await.unwrap().summaries.into_iter().map(|s| s.id).collect();
    if made.is_ok() {
        assert_eq!(listed.len(), 2);
        return false;
    }
    assert_eq!(listed, std::slice::from_ref(&first), "a backup that failed at call {calls} is not listed");
    assert!(verify(&f, VerifyDepth::Full).await.is_good(), "after a failure at call {calls}");
    let last = f.backup().await.id;
    f.assert_restores(&last, "out").await;
    assert!(f.restore(&first, "first").await.unwrap().is_complete());
    assert!(verify(&f, VerifyDepth::Full).await.is_good());
    true
}

#[tokio::test]
async fn the_next_run_uses_what_one_that_was_cut_off_stored() {
    let f = Fixture::new().await;
    // 17 packs: an index object is written after sixteen.
    for i in 0..17u8 {
        f.write(&format!("{i:02}"), noise(17 << 20, i));
    }
    // The lock, sixteen packs, one index object: fails at the next write.
    let broken =
        Repository::open(Failing::writes_after(&f.store, 18, &cloudron_core::codes::IO)).await.unwrap();
    assert!(f.try_backup(&broken).await.is_err());
    let summary = f.backup().await;
    assert!(summary.added_bytes < 60 << 20, "{} were stored again", summary.added_bytes);
    assert!(verify(&f, VerifyDepth::Full).await.is_good());
}

#[tokio::test]
async fn a_full_store_is_an_error_and_never_a_backup() {
    for writes in 0..5 {
        let f = Fixture::new().await;
        fill(&f);
        let full = Failing::writes_after(&f.store, writes, &cloudron_core::codes::NO_SPACE);
        let full = Repository::open(full).await.unwrap();
        let error = f.try_backup(&full).await.unwrap_err();
        assert!(error.is(&cloudron_core::codes::NO_SPACE), "{error}");
        assert!(f.repo.snapshots().await.unwrap().summaries.is_empty());
    }
}

#[tokio::test]
async fn making_a_repository_can_be_cut_off_anywhere_and_repeated() {
    for calls in 0..30 {
        let store: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
        let failing = Failing::after(&store, calls, &cloudron_core::codes::IO);
        let options = InitOptions { work_factor: Some(2) };
        let cut = Repository::init(failing, &Secret::new("first key, cut off"), options.clone()).await;
        if cut.is_err() && store.head("cloudron-backup.json").await.unwrap().is_none() {
            // A key that was stored is the only one that completes the interrupted `init`.
            let key = match Repository::init(store.clone(), &Secret::new(KEY), options.clone()).await {
                Ok(_) => KEY,
                Err(e) => {
                    assert!(e.is(&codes::REPOSITORY_LOST), "cut off at call {calls}: {e}");
                    let first = Secret::new("first key, cut off");
                    Repository::init(store.clone(), &first, options).await.unwrap();
                    "first key, cut off"
                }
            };
            let keys = store.list("keys/").await.unwrap().into_iter().filter(|o| o.key.ends_with(".age"));
            assert_eq!(keys.count(), 1, "cut off at call {calls}");
            let repo = Repository::open(store).await.unwrap();
            assert!(repo.unlock(&Secret::new(key)).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_cancelled_backup_says_so_and_is_not_listed() {
    let f = Fixture::new().await;
    fill(&f);
    let cancel = Cancel::new();
    cancel.cancel();
    let error = f.repo.backup(&f.keys, f.request(), &Progress::none(), &cancel).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(f.repo.snapshots().await.unwrap().summaries.is_empty());
}

/// The kind of damage to an object.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip,
    Cut,
    Delete,
    Swap,
}

async fn damage(f: &Fixture, key: &str, how: Damage) -> bool {
    let content = f.store.get(key).await.unwrap();
    match how {
        Damage::Delete => f.store.delete(key).await.unwrap(),
        Damage::Cut => f.store.put(key, &content.slice(..content.len() / 2)).await.unwrap(),
        Damage::Flip => {
            let mut changed = content.to_vec();
            let middle = changed.len() / 2;
            changed[middle] ^= 4;
            f.store.put(key, &Bytes::from(changed)).await.unwrap();
        }
        Damage::Swap => {
            // With another object of the same kind: the next one in the same folder, or an older summary.
            let prefix = key.split('/').next().unwrap();
            let kind = key.rsplit('.').next().unwrap().to_owned();
            let others = f.keys_under(&format!("{prefix}/")).await;
            let other = others.iter().find(|k| *k != key && k.ends_with(&kind));
            let Some(other) = other else { return false };
            let other = f.store.get(other).await.unwrap();
            f.store.put(key, &other).await.unwrap();
        }
    }
    true
}

#[tokio::test]
async fn every_object_that_is_damaged_is_named_and_the_rest_restores() {
    let f = Fixture::new().await;
    fill(&f);
    let first = f.backup().await.id;
    f.write("large0", noise(6 << 20, 77));
    f.write("small/new", "new");
    let second = f.backup().await.id;
    assert!(verify(&f, VerifyDepth::Full).await.is_good());
    let tree = cloudron_testkit::tree::digest(&f.source()).unwrap();
    let keyless = f.repo.verify(VerifyDepth::Full, None, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(keyless.is_good() && !keyless.references_checked);

    for key in f.keys_under("").await {
        for how in [Damage::Flip, Damage::Cut, Damage::Delete, Damage::Swap] {
            let content = f.store.get(&key).await.unwrap();
            if !damage(&f, &key, how).await {
                continue;
            }
            let report = verify(&f, VerifyDepth::Full).await;
            let newest_summary = key.ends_with(&format!("{second}.json"));
            let statement = key.starts_with("keys/") && key.ends_with(".json");
            if !(matches!(how, Damage::Delete) && (newest_summary || statement)) {
                // Removing only the newest summary leaves no trace, and a key may have no statement.
                assert!(!report.is_good(), "{how:?} of {key} is not noticed");
            }
            for (id, n) in [(&first, "a"), (&second, "b")] {
                let target = format!("{n}-{how:?}-{}", key.replace('/', "_"));
                let restored = f.restore(id, &target).await;
                let affected = report.damaged.iter().any(|d| d == id.as_str());
                match restored {
                    Ok(report) if report.is_complete() => {
                        assert!(!affected, "{how:?} of {key}: {id} restores")
                    }
                    Ok(report) => {
                        assert!(affected, "{how:?} of {key}: {id}: {:?}", report.failed);
                        assert!(report.complete().unwrap_err().is(&codes::RESTORE_INCOMPLETE));
                    }
                    Err(e) => assert!(
                        affected || e.is(&codes::BACKUP_UNKNOWN),
                        "{how:?} of {key}: {id}: {e} but {:?}",
                        report.problems
                    ),
                }
                // Everything restored from the newest backup is correct.
                if let (true, Ok(found)) = (n == "b", cloudron_testkit::tree::digest(&f.restored(&target))) {
                    for (path, entry) in
                        found.iter().filter(|(_, e)| format!("{:?}", e.kind).starts_with("File"))
                    {
                        assert_eq!(Some(&entry.kind), tree.get(path).map(|e| &e.kind), "{path:?}");
                    }
                }
                let _ = std::fs::remove_dir_all(f.target(&target));
            }
            f.store.put(&key, &content).await.unwrap();
        }
    }
    assert!(verify(&f, VerifyDepth::Full).await.is_good());
}

#[tokio::test]
async fn a_lost_pack_is_stored_again_by_the_next_backup() {
    let f = Fixture::new().await;
    fill(&f);
    let first = f.backup().await.id;
    let lost = f.keys_under("packs/").await.remove(0);
    f.store.delete(&lost).await.unwrap();
    let quick = verify(&f, VerifyDepth::Quick).await;
    assert_eq!(quick.damaged, [first.to_string()]);
    assert!(quick.problems.iter().any(|p| p.object == lost && !p.files.is_empty()), "{:?}", quick.problems);
    // Chunks in the file cache do not count if they are not in the store.
    let second = f.backup().await.id;
    f.assert_restores(&second, "second").await;
    assert!(f.restore(&first, "first").await.unwrap().is_complete(), "the old backup is whole again");
    assert!(verify(&f, VerifyDepth::Full).await.is_good());
}

#[tokio::test]
async fn a_forged_summary_is_refused() {
    let f = Fixture::new().await;
    f.write("file", "content");
    let id = f.backup().await.id;
    let key = format!("snapshots/{id}.json");
    let text = String::from_utf8(f.store.get(&key).await.unwrap().to_vec()).unwrap();
    let forged = text.replace("\"sequence\": 1", "\"sequence\": 2");
    assert_ne!(forged, text);
    f.store.put(&key, &forged.into()).await.unwrap();
    let error = f.restore(&id, "out").await.unwrap_err();
    assert!(error.is(&codes::SNAPSHOT_FORGED), "{error}");
    assert!(!f.target("out").exists());
}

#[tokio::test]
async fn an_unreadable_summary_does_not_hide_the_others() {
    let f = Fixture::new().await;
    f.write("file", "content");
    let first = f.backup().await.id;
    f.store.put(&format!("snapshots/{}.json", f.next_id()), &Bytes::from_static(b"{}")).await.unwrap();
    let list = f.repo.snapshots().await.unwrap();
    assert_eq!((list.summaries.len(), list.unreadable.len()), (1, 1));
    assert_eq!(f.repo.find("latest").await.unwrap().id, first);
    f.backup().await;
}

#[tokio::test]
async fn a_target_that_cannot_be_made_is_an_error() {
    let f = Fixture::new().await;
    f.write("file", noise(200_000, 1));
    let id = f.backup().await.id;
    let error = f.restore_with(&id, &RestoreRequest::under("/proc/nowhere")).await.unwrap_err();
    assert!(error.to_string().contains("/proc/nowhere"), "{error}");
}

#[tokio::test]
async fn a_copy_is_whole_and_a_second_one_copies_nothing() {
    let f = Fixture::new().await;
    fill(&f);
    let id = f.backup().await.id;
    let target: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
    let copied = f.repo.copy_to(target.clone(), &Progress::none(), &Cancel::new()).await.unwrap();
    assert_eq!(copied.present, 0);
    let again = f.repo.copy_to(target.clone(), &Progress::none(), &Cancel::new()).await.unwrap();
    assert_eq!((again.copied, again.present), (0, copied.copied));
    let copy = Repository::open(target.clone()).await.unwrap();
    let identity = copy.unlock(&Secret::new(KEY)).await.unwrap();
    let request = RestoreRequest::under(f.target("out"));
    let report = copy.restore(&identity, &id, &request, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(report.is_complete());
    let other = Fixture::new().await;
    let error = other.repo.copy_to(target.clone(), &Progress::none(), &Cancel::new()).await.unwrap_err();
    assert!(error.is(&codes::REPOSITORY_EXISTS));
    let error = copy.copy_to(target.clone(), &Progress::none(), &Cancel::new()).await.unwrap_err();
    assert!(error.is(&cloudron_core::codes::USAGE), "the copy onto itself: {error}");
    assert!(target.list("locks/").await.unwrap().is_empty());
}
