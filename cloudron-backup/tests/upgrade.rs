//! A stored repository of format 1 can be read, is not written to, and is upgraded without loss.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloudron_backup::{
    BackupRequest, BackupStore, Identity, MemoryStore, PrunePolicy, PruneRequest, RepairRequest, Repository,
    RestoreRequest, Source, VerifyDepth, codes,
};
use cloudron_core::{BackupId, Cancel, Progress, Secret, Version};
use cloudron_testkit::tree;

type Entries = std::collections::BTreeMap<PathBuf, tree::Entry>;

use crate::common::Failing;

const KEY: &str = "f1sampleabcdefghijkmnopqrstuvwxyz0123456";

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/format-1/repository")
}

/// Returns the stored repository in memory, with one foreign object.
async fn kept() -> Arc<dyn BackupStore> {
    let store = MemoryStore::new();
    let mut folders = vec![sample()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let key = path.strip_prefix(sample()).unwrap().to_str().unwrap().to_owned();
            store.put(&key, &Bytes::from(std::fs::read(&path).unwrap())).await.unwrap();
        }
    }
    Arc::new(store)
}

async fn open(store: &Arc<dyn BackupStore>) -> (Repository, Identity) {
    let repository = Repository::open(store.clone()).await.unwrap();
    let identity = repository.unlock(&Secret::new(KEY)).await.unwrap();
    (repository, identity)
}

async fn ids(repository: &Repository) -> Vec<BackupId> {
    repository.snapshots().await.unwrap().summaries.into_iter().map(|s| s.id).collect()
}

/// Returns the content of each backup.
async fn contents(repository: &Repository, identity: &Identity) -> Vec<Entries> {
    let mut found = Vec::new();
    for id in ids(repository).await {
        let target = tempfile::tempdir().unwrap();
        let request = RestoreRequest::under(target.path());
        let (progress, cancel) = (Progress::none(), Cancel::new());
        let report = repository.restore(identity, &id, &request, &progress, &cancel).await.unwrap();
        assert!(report.is_complete(), "{id}: {:?}", report.failed);
        // Backups added later by a test have another folder.
        let sample = target.path().join("srv/sample");
        if sample.exists() {
            found.push(tree::digest(&sample).unwrap());
        }
    }
    found
}

async fn upgrade(store: &Arc<dyn BackupStore>) -> cloudron_core::Result<Repository> {
    let (repository, identity) = open(store).await;
    let (repository, report) = repository.upgrade(&identity, &Progress::none(), &Cancel::new()).await?;
    assert!(report.damaged.is_empty() && report.packs_damaged.is_empty(), "{report:?}");
    Ok(repository)
}

fn request(folder: &Path) -> BackupRequest {
    let id = BackupId::new(std::time::SystemTime::now(), &Version::current());
    BackupRequest::new(id, vec![Source::new("folder", folder)])
}

#[tokio::test]
async fn a_repository_of_format_1_is_read_and_not_written_to() {
    let store = kept().await;
    let before: Vec<_> = store.list("").await.unwrap().into_iter().map(|o| o.key).collect();
    let (repository, identity) = open(&store).await;
    assert_eq!(contents(&repository, &identity).await.len(), 3);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let latest = repository.find("latest").await.unwrap();
    assert_eq!(latest.id.as_str(), "backup_2026-11-30T16-27-04Z_v0.1.0");
    let report = repository.verify(VerifyDepth::Full, Some(&identity), &progress, &cancel).await.unwrap();
    assert!(report.is_good(), "{:?}", report.problems);

    let folder = tempfile::tempdir().unwrap();
    let (keys, prune, repair) = (identity.writer_keys(), PruneRequest::default(), RepairRequest::default());
    let refused = [
        repository.backup(&keys, request(folder.path()), &progress, &cancel).await.map(drop),
        repository.prune(&identity, &prune, &progress, &cancel).await.map(drop),
        repository.repair(&identity, &repair, &progress, &cancel).await.map(drop),
        repository.add_writer(&identity, "new", &Default::default()).await.map(drop),
    ];
    for refused in refused {
        assert!(refused.unwrap_err().is(&codes::REPOSITORY_OLD));
    }
    let after: Vec<_> = store.list("").await.unwrap().into_iter().map(|o| o.key).collect();
    assert_eq!(before, after);
}

#[tokio::test]
async fn an_upgrade_keeps_every_backup_and_what_comes_later_works() {
    let store = kept().await;
    let (repository, identity) = open(&store).await;
    let before = contents(&repository, &identity).await;
    let repository = upgrade(&store).await.unwrap();
    assert_eq!(contents(&repository, &identity).await, before);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let verify = async |repository: &Repository| {
        let depth = VerifyDepth::Full;
        let report = repository.verify(depth, Some(&identity), &progress, &cancel).await.unwrap();
        assert!(report.is_good() && report.ignored.is_empty(), "{:?} {:?}", report.problems, report.ignored);
    };
    verify(&repository).await;

    // The old keys and the new ones open it, and a writer continues.
    let (again, _) = open(&store).await;
    for secret in ["f1secondabcdefghijkmnopqrstuvwxyz0123456", KEY] {
        assert!(again.unlock(&Secret::new(secret)).await.is_ok());
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "new").unwrap();
    let made =
        again.backup(&identity.writer_keys(), request(folder.path()), &progress, &cancel).await.unwrap();
    assert_eq!(made.sequence, 1, "numbers count for each writer");
    assert_eq!(again.find("latest").await.unwrap().id, made.id);
    verify(&again).await;

    // Only content that just the removed backup needed is deleted.
    let mut request = PruneRequest::default();
    request.grace = Duration::ZERO;
    for _ in 0..2 {
        let report = again.prune(&identity, &request, &progress, &cancel).await.unwrap();
        assert!(report.is_whole(), "{:?}", report.missing);
    }
    verify(&again).await;
    assert_eq!(contents(&again, &identity).await, before);
    let (_, report) = again.upgrade(&identity, &progress, &cancel).await.unwrap();
    assert!(report.was_new);
    // A policy that would remove most of them is refused first.
    request.policy = PrunePolicy { last: Some(1), ..PrunePolicy::default() };
    let refused = again.prune(&identity, &request, &progress, &cancel).await.unwrap_err();
    assert!(refused.is(&codes::PRUNE_REMOVALS), "{refused}");
}

#[tokio::test]
async fn an_upgrade_cut_off_at_any_call_loses_nothing_and_the_next_one_finishes_it() {
    let store = kept().await;
    let (repository, identity) = open(&store).await;
    let before = contents(&repository, &identity).await;
    let mut calls = 0;
    loop {
        let store = kept().await;
        let failing: Arc<dyn BackupStore> = Failing::after(&store, calls, &cloudron_core::codes::IO);
        let cut_off = match Repository::open(failing).await {
            Ok(broken) => broken.upgrade(&identity, &Progress::none(), &Cancel::new()).await.is_err(),
            Err(_) => true,
        };
        let (repository, _) = open(&store).await;
        let every = calls % 7 == 0 || !cut_off;
        if every {
            assert_eq!(contents(&repository, &identity).await, before, "cut off at call {calls}");
        }
        if !cut_off {
            break;
        }
        // The lock of the dead process is valid for half an hour.
        for lock in store.list("locks/").await.unwrap() {
            store.delete(&lock.key).await.unwrap();
        }
        let repository = upgrade(&store).await.unwrap();
        if every {
            assert_eq!(contents(&repository, &identity).await, before, "finished after call {calls}");
        }
        let report = repository
            .verify(VerifyDepth::Full, Some(&identity), &Progress::none(), &Cancel::new())
            .await
            .unwrap();
        assert!(report.is_good() && report.ignored.is_empty(), "call {calls}: {report:?}");
        calls += 1;
        assert!(calls < 400, "an upgrade never came to an end");
    }
    assert!(calls > 30, "only {calls} calls were cut off");
}

#[tokio::test]
async fn a_description_that_somebody_put_beside_the_first_is_named_and_goes() {
    let store = kept().await;
    let made: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
    let key = Secret::new("of somebody else altogether");
    Repository::init(made.clone(), &key, cloudron_backup::InitOptions::default()).await.unwrap();
    let json = |object: Bytes| serde_json::from_slice::<serde_json::Value>(&object).unwrap();
    let first = json(store.get("cloudron-backup.json").await.unwrap());
    let mut forged = json(made.get("cloudron-backup.json").await.unwrap());
    let thief = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    forged["owner"] = hex::encode(thief.verifying_key().as_bytes()).into();
    forged["id"] = first["id"].clone();
    forged["recipients"] = first["recipients"].clone();
    let forged = common::forge::sign(forged, "config v2", &thief);
    let place = "copies/cloudron-backup.json";
    store.put(place, &serde_json::to_vec(&forged).unwrap().into()).await.unwrap();

    let repository = Repository::open(store.clone()).await.unwrap();
    let refused = repository.unlock(&Secret::new(KEY)).await.unwrap_err();
    assert!(refused.is(&codes::REPOSITORY_CORRUPT), "{refused}");
    assert!(refused.hint().unwrap().contains(&format!("{place} there: delete that object")), "{refused:?}");
    store.delete(place).await.unwrap();
    open(&store).await;
}
