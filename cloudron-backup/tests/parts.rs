//! A restore reads only what it needs, however the content is divided.

mod common;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{BackupStore, MemoryStore, ObjectMeta, Repository, RestoreRequest};
use cloudron_core::{Cancel, Event, Progress, Result};
use common::{Fixture, noise};

/// Counts the bytes read from packs.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryStore,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    fn count(&self, key: &str, content: &Bytes) {
        if key.starts_with("packs/") {
            self.requests.fetch_add(1, Ordering::SeqCst);
            self.bytes.fetch_add(content.len() as u64, Ordering::SeqCst);
        }
    }

    fn take(&self) -> (u64, u64) {
        (self.requests.swap(0, Ordering::SeqCst), self.bytes.swap(0, Ordering::SeqCst))
    }
}

#[async_trait]
impl BackupStore for Counting {
    fn url(&self) -> String {
        "counting:".into()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.inner.put(key, content).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.inner.put_new(key, content).await
    }
    async fn get(&self, key: &str) -> Result<Bytes> {
        let content = self.inner.get(key).await?;
        self.count(key, &content);
        Ok(content)
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let content = self.inner.get_range(key, range).await?;
        self.count(key, &content);
        Ok(content)
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
}

async fn fixture() -> (Fixture, Arc<Counting>) {
    let store = Arc::new(Counting::default());
    let f = Fixture::on(store.clone()).await;
    (f, store)
}

#[tokio::test]
async fn one_small_file_out_of_a_pack_takes_two_requests_and_few_bytes() {
    let (f, store) = fixture().await;
    f.write("a", noise(6 << 20, 1));
    f.write("b", noise(200_000, 2));
    f.write("c", noise(6 << 20, 3));
    let id = f.backup().await.id;
    assert_eq!(f.keys_under("packs/").await.len(), 1);
    store.take();
    let mut request = RestoreRequest::under(f.target("one"));
    request.only = vec![f.source().join("b")];
    assert!(f.restore_with(&id, &request).await.unwrap().is_complete());
    assert_eq!(std::fs::read(f.restored("one").join("b")).unwrap(), noise(200_000, 2));
    let (requests, bytes) = store.take();
    assert!(requests <= 2 && bytes < 500_000, "{requests} requests, {bytes} bytes");
}

#[tokio::test]
async fn a_whole_restore_reads_every_pack_once_in_few_requests() {
    let (f, store) = fixture().await;
    for i in 0..10 {
        f.write(&format!("large{i}"), noise(5 << 20, i));
        f.write(&format!("small/{i}"), noise(9_000, 100 + i));
    }
    let id = f.backup().await.id;
    let stored: u64 = store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
    store.take();
    f.assert_restores(&id, "out").await;
    let (requests, bytes) = store.take();
    assert!(bytes < stored + stored / 10, "{bytes} bytes read of {stored}");
    assert!(requests < 40, "{requests} requests for {stored} bytes");
}

#[tokio::test]
async fn many_small_files_are_read_once_also_when_some_of_them_changed() {
    let (f, store) = fixture().await;
    for i in 0..1500u32 {
        f.write(&format!("{:02}/{i}", i % 50), noise(9_000, (i % 256) as u8).repeat(1 + i as usize % 2));
    }
    // A file counts as settled two seconds after its last change.
    tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
    f.backup().await;
    for i in (0..1500u32).step_by(40) {
        f.write(&format!("{:02}/{i}", i % 50), noise(9_500, (i % 251) as u8));
    }
    let id = f.backup().await.id;
    let stored: u64 = store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
    store.take();
    f.assert_restores(&id, "out").await;
    let (requests, bytes) = store.take();
    assert!(bytes < stored + stored / 4, "{bytes} bytes read of {stored}");
    assert!(requests < 30, "{requests} requests for {stored} bytes");
}

#[tokio::test]
async fn content_that_lies_scattered_over_many_packs_is_read_in_parts() {
    let (f, store) = fixture().await;
    for i in 0..8 {
        f.write(&format!("filler{i}"), noise(16 << 20, i));
        f.write(&format!("kept/{i}"), noise(300_000, 100 + i));
        f.backup().await;
        std::fs::remove_file(f.source().join(format!("filler{i}"))).unwrap();
    }
    let id = f.backup().await.id;
    store.take();
    f.assert_restores(&id, "out").await;
    let (_, bytes) = store.take();
    assert!(bytes < 8 * 600_000, "{bytes} bytes for 2.4 MB of content");
}

#[tokio::test]
async fn a_restore_over_the_same_files_reads_no_pack() {
    let (f, store) = fixture().await;
    for i in 0..5 {
        f.write(&format!("{i}"), noise(3 << 20, i));
    }
    let id = f.backup().await.id;
    f.assert_restores(&id, "out").await;
    store.take();
    assert_eq!(f.restore(&id, "out").await.unwrap().unchanged, 5);
    assert_eq!(store.take(), (0, 0));
}

#[tokio::test]
async fn the_same_content_in_many_files_and_orders_restores() {
    let (f, _) = fixture().await;
    let parts: Vec<Vec<u8>> = (0..6).map(|i| noise(3 << 20, i)).collect();
    for i in 0..12usize {
        // Files that share chunks, near to and far from each other.
        let content: Vec<u8> =
            [i % 6, (i * 5 + 1) % 6, i % 2].iter().flat_map(|p| parts[*p].clone()).collect();
        f.write(&format!("{i:02}"), content);
        f.write(&format!("{i:02}.small"), &parts[i % 3][..20_000]);
    }
    let id = f.backup().await.id;
    f.assert_restores(&id, "out").await;
}

#[tokio::test]
async fn the_bar_of_a_restore_ends_at_what_was_asked_for() {
    let (f, _) = fixture().await;
    f.write("a/one", noise(400_000, 1));
    f.write("b/two", noise(500_000, 2));
    let id = f.backup().await.id;
    let seen = Arc::new(std::sync::Mutex::new((None, 0)));
    let sink = seen.clone();
    let progress = Progress::to(move |event| match event {
        Event::Started { label, total, .. } if label == "Restoring" => sink.lock().unwrap().0 = *total,
        Event::Advanced { done, total: Some(400_000), .. } => sink.lock().unwrap().1 = *done,
        _ => {}
    });
    let mut request = RestoreRequest::under(f.target("one"));
    request.only = vec![f.source().join("a")];
    let repo: &Repository = &f.repo;
    let report = repo.restore(&f.identity, &id, &request, &progress, &Cancel::new()).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(*seen.lock().unwrap(), (Some(400_000), 400_000));
}

#[tokio::test]
async fn folders_deeper_than_are_kept_open_restore() {
    let (f, _) = fixture().await;
    let deep = vec!["d"; 100].join("/");
    for i in 0..3 {
        f.write(&format!("{deep}/{i}"), format!("deep {i}"));
        f.write(&format!("{deep}/{i}x/y"), format!("deeper {i}"));
    }
    f.write("e/last", "flat");
    let id = f.backup().await.id;
    f.assert_restores(&id, "out").await;
}
