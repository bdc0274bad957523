//! Stores that ignore the condition of a conditional write, always or after a change.

mod common;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::store::{Known, ObjectLock, StoreRules};
use cloudron_backup::{BackupStore, InitOptions, MemoryStore, ObjectMeta, Repository, codes};
use cloudron_core::{Result, Secret};
use common::{Fixture, KEY};

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
