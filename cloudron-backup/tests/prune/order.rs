//! The order of calls that `docs/prune.md` relies on, and a prune interrupted at each of them.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{BackupStore, ObjectMeta, Repository, VerifyDepth};
use cloudron_core::{Cancel, Progress, Result};

use crate::common::{self, Fixture, noise};
use crate::steps::{DAY, copy_of, keep_last, prune, three};

/// Records the calls to a store.
#[derive(Debug)]
struct Recording {
    inner: Arc<dyn BackupStore>,
    calls: Mutex<Vec<String>>,
    /// The locks that were put.
    locks: Mutex<Vec<(String, Bytes)>>,
    /// Somebody adds objects with this start and end of their keys again as soon as they are deleted.
    replays: Option<(&'static str, &'static str)>,
}

impl Recording {
    fn over(store: &Arc<dyn BackupStore>) -> Self {
        Self { inner: store.clone(), calls: Mutex::default(), locks: Mutex::default(), replays: None }
    }

    fn note(&self, call: &str, key: &str) {
        self.calls.lock().unwrap().push(format!("{call} {}", key.split_inclusive('/').next().unwrap_or(key)));
    }

    fn position(&self, call: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().position(|c| c == call).unwrap_or_else(|| panic!("no {call} in {calls:?}"))
    }
}

#[async_trait]
impl BackupStore for Recording {
    fn url(&self) -> String {
        "recording:".into()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.note("put", key);
        if key.starts_with("locks/") {
            self.locks.lock().unwrap().push((key.to_owned(), content.clone()));
        }
        self.inner.put(key, content).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.note("put-new", key);
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
        self.note("list", prefix);
        self.inner.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.note("delete", key);
        if self.replays.is_some_and(|(start, end)| key.starts_with(start) && key.ends_with(end)) {
            return Ok(());
        }
        self.inner.delete(key).await
    }
}

/// Checks the order that the proof in `docs/prune.md` requires. Most violations lose content only if a
/// process is suspended at the worst moment, so the order itself is tested.
#[tokio::test]
async fn locks_records_packs_and_summaries_are_looked_at_in_the_order_that_keeps_backups_safe() {
    let f = Fixture::new().await;
    three(&f).await;
    let recording = || Arc::new(Recording::over(&f.store));
    let store = recording();
    let repo = Repository::open(store.clone()).await.unwrap();
    f.try_backup(&repo).await.unwrap();
    let at = |call| store.position(call);
    assert!(at("put locks/") < at("list condemned/"));
    assert!(at("list condemned/") < at("list packs/"));
    assert!(at("put-new snapshots/") < at("delete locks/"));

    let _ = prune(&f, &keep_last(1, DAY)).await;
    let store = recording();
    let repo = Repository::open(store.clone()).await.unwrap();
    let _ = repo
        .prune(&f.identity, &keep_last(9, Duration::ZERO), &Progress::none(), &Cancel::new())
        .await
        .unwrap();
    let calls = store.calls.lock().unwrap().clone();
    let sweep = calls.iter().rposition(|c| c == "list condemned/").unwrap();
    let in_sweep: Vec<&str> =
        calls[sweep..].iter().map(String::as_str).filter(|c| !c.starts_with("put ")).collect();
    let order = [
        "list condemned/",
        "list locks/",
        "list forgotten/",
        "list snapshots/",
        "list packs/",
        "list index/",
        "delete packs/",
    ];
    assert_eq!(in_sweep[..order.len()], order);
    let position = |call: &str| in_sweep.iter().rposition(|c| *c == call).unwrap();
    assert!(position("delete packs/") < position("delete condemned/"));
}

#[tokio::test]
async fn index_objects_that_are_added_again_between_the_passes_of_a_prune_are_counted() {
    let f = Fixture::new().await;
    three(&f).await;
    let store = Arc::new(Recording { replays: Some(("index/", "")), ..Recording::over(&f.store) });
    let repo = Repository::open(store.clone()).await.unwrap();
    let request = keep_last(1, Duration::ZERO);
    let report = repo.prune(&f.identity, &request, &Progress::none(), &Cancel::new()).await.unwrap();
    let calls = store.calls.lock().unwrap().clone();
    let count = |call: &str| calls.iter().filter(|c| *c == call).count();
    assert_eq!((count("delete index/"), count("put index/")), (3, 1), "one, then two: {calls:?}");
    // The last pass saw three, replaced two and wrote one.
    let counted = report.index_objects;
    assert_eq!((counted.before, counted.after, f.keys_under("index/").await.len()), (3, 2, 4));
}

#[tokio::test]
async fn a_removed_backup_that_is_put_back_beside_its_old_lock_is_not_missed() {
    let f = Fixture::new().await;
    f.write("first", noise(300_000, 1));
    let before = Arc::new(Recording::over(&f.store));
    f.try_backup(&Repository::open(before.clone()).await.unwrap()).await.unwrap();
    std::fs::remove_file(f.source().join("first")).unwrap();
    three(&f).await;
    let locks = before.locks.lock().unwrap().clone();
    let (key, content) = locks.iter().find(|(key, _)| key.contains("backup_")).unwrap();
    f.store.put(key, content).await.unwrap();
    let store = Arc::new(Recording { replays: Some(("snapshots/", ".json")), ..Recording::over(&f.store) });
    let repo = Repository::open(store).await.unwrap();
    let request = keep_last(1, Duration::ZERO);
    let report = repo.prune(&f.identity, &request, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(report.is_whole() && report.packs_deleted > 0, "{report:?}");
}

#[tokio::test]
async fn a_prune_cut_off_at_any_call_loses_nothing_and_the_next_one_finishes_it() {
    let f = Fixture::new().await;
    three(&f).await;
    let (request, progress, cancel) = (keep_last(1, Duration::ZERO), Progress::none(), Cancel::new());
    let mut calls = 0;
    loop {
        let store = copy_of(&f.store).await;
        // One more call opens the repository.
        let failing = common::Failing::after(&store, calls + 1, &cloudron_core::codes::IO);
        let broken = Repository::open(failing).await.unwrap();
        let cut_off = broken.prune(&f.identity, &request, &progress, &cancel).await.is_err();
        let repo = Repository::open(store.clone()).await.unwrap();
        let verify = async || {
            let report = repo.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap();
            assert!(report.is_good(), "cut off at call {calls}: {:?}", report.problems);
        };
        verify().await;
        if !cut_off {
            break;
        }
        // The lock of the dead process is valid for half an hour.
        for lock in store.list("locks/").await.unwrap() {
            store.delete(&lock.key).await.unwrap();
        }
        let _ = repo.prune(&f.identity, &request, &progress, &cancel).await.unwrap();
        verify().await;
        let packs: u64 = store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
        assert!(packs < 550_000, "cut off at call {calls}: {packs} bytes are left of 500000");
        assert_eq!(repo.snapshots().await.unwrap().summaries.len(), 1);
        calls += 1;
        assert!(calls < 300, "a prune never came to an end");
    }
    assert!(calls > 30, "only {calls} calls were cut off");
}
