//! A prune of a store without much space.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{BackupStore, MemoryStore, ObjectMeta, Repository};
use cloudron_core::{Cancel, Error, Progress, Result, codes};

use crate::common::Fixture;
use crate::steps::{DAY, copy_of, keep_last, prune, three, try_prune, verify};

/// Room for locks and records, but for no pack of these tests.
const LITTLE: u64 = 20_000;
/// A grace period that has passed at the next prune.
const SHORT: Duration = Duration::from_millis(1);

/// A store with a limited number of free bytes. Deletions add to them.
#[derive(Debug)]
struct Limited {
    inner: Arc<dyn BackupStore>,
    free: AtomicU64,
}

impl Limited {
    fn new(inner: Arc<dyn BackupStore>) -> Arc<Self> {
        Arc::new(Self { inner, free: AtomicU64::new(u64::MAX >> 1) })
    }

    fn set_free(&self, bytes: u64) {
        self.free.store(bytes, Ordering::SeqCst);
    }

    async fn size(&self, key: &str) -> Result<u64> {
        Ok(self.inner.head(key).await?.map_or(0, |o| o.size))
    }

    /// Exchanges what an object needs, or fails.
    fn exchange(&self, key: &str, old: u64, new: u64) -> Result<()> {
        let free = |free: u64| (free + old).checked_sub(new);
        let done = self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free);
        done.map(drop).map_err(|_| Error::new(&codes::NO_SPACE, format!("{key}: the store is full")))
    }
}

#[async_trait]
impl BackupStore for Limited {
    fn url(&self) -> String {
        "limited:".into()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.exchange(key, self.size(key).await?, content.len() as u64)?;
        self.inner.put(key, content).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        if self.inner.head(key).await?.is_some() {
            return Ok(false);
        }
        self.put(key, content).await.map(|()| true)
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
        self.exchange(key, self.size(key).await?, 0)?;
        self.inner.delete(key).await
    }
}

/// Three backups in a store that has little space left. Of the first pack less than half is needed by the
/// last backup, nothing of the second, everything of the third.
async fn nearly_full() -> (Fixture, Arc<Limited>) {
    let store = Limited::new(Arc::new(MemoryStore::new()));
    let f = Fixture::on(store.clone()).await;
    three(&f).await;
    store.set_free(LITTLE);
    (f, store)
}

async fn packs(f: &Fixture) -> u64 {
    f.store.list("packs/").await.unwrap().iter().map(|o| o.size).sum()
}

#[tokio::test]
async fn without_a_grace_what_nothing_needs_is_deleted_before_packs_are_rewritten() {
    let (f, _store) = nearly_full().await;
    let report = prune(&f, &keep_last(1, Duration::ZERO)).await;
    assert_eq!((report.no_space, report.packs_repacked, report.packs_deleted), (None, 1, 2));
    assert!(packs(&f).await < 550_000);
    assert!(verify(&f).await.is_good());
}

#[tokio::test]
async fn with_a_grace_what_nothing_needs_is_set_aside_and_deleted_after_it() {
    let (f, _store) = nearly_full().await;
    let first = prune(&f, &keep_last(1, DAY)).await;
    assert!(first.no_space.as_ref().is_some_and(|why| why.contains("the store is full")), "{first:?}");
    assert_eq!((first.removed.len(), first.packs_condemned, first.packs_repacked), (2, 1, 0));
    assert!(first.bytes_freed == 0 && first.bytes_freed_later > 300_000, "{first:?}");
    assert_eq!(f.keys_under("condemned/").await.len(), 1);
    assert!(verify(&f).await.is_good());
    // Nothing piles up while there is no space.
    let before = (f.keys_under("packs/").await, packs(&f).await);
    assert!(prune(&f, &keep_last(1, DAY)).await.no_space.is_some());
    assert_eq!((f.keys_under("packs/").await, packs(&f).await), before);

    tokio::time::sleep(2 * SHORT).await;
    let second = prune(&f, &keep_last(1, SHORT)).await;
    assert_eq!((second.no_space, second.packs_deleted, second.packs_repacked), (None, 1, 1));
    tokio::time::sleep(2 * SHORT).await;
    assert_eq!(prune(&f, &keep_last(1, SHORT)).await.packs_deleted, 1);
    assert!(packs(&f).await < 550_000);
    assert!(verify(&f).await.is_good());
}

#[tokio::test]
async fn what_is_rewritten_before_the_store_is_full_counts() {
    let f = Fixture::new().await;
    three(&f).await;
    for free in (0..6000).step_by(300).chain([100_000, 205_000, 300_000]) {
        for grace in [DAY, Duration::ZERO] {
            let store = Limited::new(copy_of(&f.store).await);
            let repo = Repository::open(store.clone()).await.unwrap();
            store.set_free(free);
            let (progress, cancel) = (Progress::none(), Cancel::new());
            let result = repo.prune(&f.identity, &keep_last(1, grace), &progress, &cancel).await;
            let condemned = !store.list("condemned/").await.unwrap().is_empty();
            match &result {
                Ok(report) => {
                    let frees = report.bytes_freed + report.bytes_freed_later;
                    assert!(frees > 0 || report.no_space.is_some(), "{free} bytes: {report:?}");
                    assert!(grace.is_zero() || condemned == (report.bytes_freed_later > 0), "{report:?}");
                }
                // Not even a lock or the list of removed backups could be written.
                Err(e) => assert!(e.is(&codes::NO_SPACE) && !condemned && free < 3000, "{free} bytes: {e}"),
            }
            let depth = cloudron_backup::VerifyDepth::Full;
            let verified = repo.verify(depth, Some(&f.identity), &progress, &cancel).await.unwrap();
            assert!(verified.is_good(), "{free} bytes: {:?}", verified.problems);
            store.set_free(1 << 30);
            for lock in store.list("locks/").await.unwrap() {
                store.delete(&lock.key).await.unwrap();
            }
            let request = keep_last(1, Duration::ZERO);
            assert_eq!(repo.prune(&f.identity, &request, &progress, &cancel).await.unwrap().no_space, None);
            let packs: u64 = store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
            assert!(packs < 550_000, "{free} bytes: {packs} bytes are left of 500000");
        }
    }
}

/// A sweep copies the needed chunks of condemned packs first. If there is no space for that, it deletes the
/// other packs.
#[tokio::test]
async fn condemned_packs_that_cannot_be_copied_do_not_keep_others_from_being_deleted() {
    let (f, store) = nearly_full().await;
    store.set_free(1 << 30);
    let made = f.repo.snapshots().await.unwrap().summaries;
    let _ = prune(&f, &keep_last(1, DAY)).await;
    // The record of a prune that did not see the last backup.
    let copy = copy_of(&f.store).await;
    let blind = Repository::open(copy.clone()).await.unwrap();
    let mut request = keep_last(1, DAY);
    request.remove = vec![made[2].id.clone()];
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let _ = blind.prune(&f.identity, &request, &progress, &cancel).await.unwrap();
    for object in copy.list("condemned/").await.unwrap() {
        f.store.put(&object.key, &copy.get(&object.key).await.unwrap()).await.unwrap();
    }
    store.set_free(LITTLE);
    let report = prune(&f, &keep_last(1, Duration::ZERO)).await;
    assert!(report.no_space.is_some() && report.chunks_rescued == 0, "{report:?}");
    assert_eq!(report.packs_deleted, 1, "{report:?}");
    assert!(report.bytes_freed_later > 500_000, "{report:?}");
    assert!(verify(&f).await.is_good());
    store.set_free(1 << 20);
    let report = prune(&f, &keep_last(1, Duration::ZERO)).await;
    assert!(report.no_space.is_none() && report.chunks_rescued > 0, "{report:?}");
    assert!(packs(&f).await < 550_000);
    f.assert_restores(&made[2].id, "out").await;
}

#[tokio::test]
async fn without_any_space_nothing_is_removed() {
    let (f, store) = nearly_full().await;
    store.set_free(0);
    let before = f.keys_under("").await;
    assert!(try_prune(&f, &keep_last(1, Duration::ZERO)).await.unwrap_err().is(&codes::NO_SPACE));
    assert_eq!(f.keys_under("").await, before);
}
