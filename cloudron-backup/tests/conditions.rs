//! Stores that ignore the condition of a conditional write, always or after a change.

mod common;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::store::{Known, ObjectLock, StoreRules};
use cloudron_backup::{
    BackupStore, CopyTarget, InitOptions, MemoryStore, ObjectMeta, PruneRequest, RepairRequest, Repository,
    WriterLimits, codes, open_store,
};
use cloudron_core::{Cancel, Progress, Result, Secret};
use common::{Fixture, KEY, format2};

/// A bucket that ignores conditions once versioning is enabled, as Ceph's do.
#[derive(Debug, Default)]
struct Bucket {
    inner: MemoryStore,
    versions: AtomicBool,
}

impl Bucket {
    fn keep_versions(&self, keep: bool) {
        self.versions.store(keep, Ordering::SeqCst);
    }
}

#[async_trait]
impl BackupStore for Bucket {
    fn url(&self) -> String {
        "bucket:".into()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.inner.put(key, content).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        if self.versions.load(Ordering::SeqCst) {
            return self.inner.put(key, content).await.map(|()| true);
        }
        self.inner.put_new(key, content).await
    }
    async fn get(&self, key: &str) -> Result<Bytes> {
        self.inner.get(key).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.inner.get_range(key, range).await
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.inner.head(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.inner.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.inner.delete(key).await
    }
    async fn rules(&self) -> Result<StoreRules> {
        let versions = Known::Is(self.versions.load(Ordering::SeqCst));
        Ok(StoreRules::new(versions, Known::Is(ObjectLock::default()), StoreRules::default().lifecycle))
    }
}

#[tokio::test]
async fn a_bucket_that_begins_to_keep_versions_is_noticed_at_the_next_backup() {
    let bucket = Arc::new(Bucket::default());
    let f = Fixture::on(bucket.clone()).await;
    f.write("file", "precious");
    let first = f.backup().await;
    bucket.keep_versions(true);
    let error = f.try_backup(&f.repo).await.unwrap_err();
    assert!(error.is(&codes::STORE_CONDITIONAL), "{error:?}");
    assert!(error.to_string().contains("versions"), "{error}");
    assert!(error.detail("versioned").is_some(), "{error:?}");
    assert_eq!(f.repo.snapshots().await.unwrap().summaries, std::slice::from_ref(&first));
    assert!(f.keys_under("locks/").await.is_empty());
    bucket.keep_versions(false);
    let second = f.backup().await;
    for made in [first, second] {
        f.assert_restores(&made.id, made.id.as_str()).await;
    }
}

#[tokio::test]
async fn a_repository_is_not_made_where_objects_are_written_over_and_nothing_is_left() {
    let bucket = Arc::new(Bucket::default());
    bucket.keep_versions(true);
    let options = InitOptions { work_factor: Some(2) };
    let error = Repository::init(bucket.clone(), &Secret::new(KEY), options).await.unwrap_err();
    assert!(error.is(&codes::STORE_CONDITIONAL), "{error:?}");
    assert!(!Repository::is_begun(&*bucket).await.unwrap());
    assert!(Repository::open(bucket).await.unwrap_err().is(&codes::REPOSITORY_MISSING));
}

async fn objects(store: &dyn BackupStore) -> Vec<(String, Bytes)> {
    let mut found = Vec::new();
    for object in store.list("").await.unwrap() {
        let content = store.get(&object.key).await.unwrap();
        found.push((object.key, content));
    }
    found
}

#[tokio::test]
async fn whatever_else_writes_to_such_a_bucket_notices_it_and_changes_nothing() {
    let bucket = Arc::new(Bucket::default());
    let f = Fixture::on(bucket.clone()).await;
    f.write("file", "precious");
    let made = f.backup().await;
    let other = Fixture::new().await;
    other.write("file", "other");
    let theirs = [other.backup_as("backup_2026-09-20T01-02-03Z_v1.0.0").await.id];
    bucket.keep_versions(true);
    let before = objects(&*bucket).await;
    let (progress, cancel, repo) = (Progress::none(), Cancel::new(), &f.repo);
    let (prune, repair, new) =
        (PruneRequest::default(), RepairRequest::default(), Secret::new("another backup key"));
    let old = Secret::new(KEY);
    let target = CopyTarget { repository: repo, keys: &f.keys };
    let results = [
        ("prune", repo.prune(&f.identity, &prune, &progress, &cancel).await.map(drop)),
        ("repair", repo.repair(&f.identity, &repair, &progress, &cancel).await.map(drop)),
        ("add", repo.add_backup_key(&f.identity, "new", &new, Some(2)).await.map(drop)),
        ("paper", repo.add_paper_key(&f.identity, "paper", None).await.map(drop)),
        ("change", repo.change_backup_key(&old, &new, Some(2)).await.map(drop)),
        (
            "copy",
            other.repo.copy_snapshots(&other.identity, &theirs, target, &progress, &cancel).await.map(drop),
        ),
    ];
    for (what, result) in results {
        let error = result.expect_err(what);
        assert!(error.is(&codes::STORE_CONDITIONAL), "{what}: {error:?}");
    }
    assert_eq!(objects(&*bucket).await, before);
    assert!(repo.unlock(&old).await.is_ok());
    let writer = repo.add_writer(&f.identity, "server", &WriterLimits::default()).await;
    assert!(writer.unwrap_err().is(&codes::STORE_CONDITIONAL));
    // A dry run writes nothing, and so does reading.
    let mut dry = PruneRequest::default();
    dry.dry_run = true;
    assert!(repo.prune(&f.identity, &dry, &progress, &cancel).await.unwrap().is_whole());
    f.assert_restores(&made.id, "out").await;
}

#[tokio::test]
async fn a_copy_and_an_upgrade_begin_nothing_in_such_a_bucket() {
    let f = Fixture::new().await;
    f.write("file", "precious");
    f.backup().await;
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let bucket = Arc::new(Bucket::default());
    bucket.keep_versions(true);
    let copied = f.repo.copy_to(bucket.clone(), &progress, &cancel).await;
    assert!(copied.unwrap_err().is(&codes::STORE_CONDITIONAL));
    assert_eq!(objects(&*bucket).await, []);

    let first = format2::Repository::first();
    let folder = open_store(first.path("").to_str().unwrap()).unwrap();
    for (key, content) in objects(&*folder).await {
        bucket.put(&key, &content).await.unwrap();
    }
    let before = objects(&*bucket).await;
    let repo = Repository::open(bucket.clone()).await.unwrap();
    let identity = repo.unlock(&Secret::new(format2::KEY)).await.unwrap();
    let upgraded = repo.upgrade(&identity, &progress, &cancel).await;
    assert!(upgraded.unwrap_err().is(&codes::STORE_CONDITIONAL));
    assert_eq!(objects(&*bucket).await, before);
}
