//! Shared helpers of this crate's tests.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

pub mod forge;
pub mod format2;
pub mod sim;
pub mod trees;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{
    BackupRequest, BackupStore, CompareReport, Identity, InitOptions, MemoryStore, ObjectMeta, Repository,
    RestoreReport, RestoreRequest, Source, Summary, WriterKeys,
};
use cloudron_core::{BackupId, Cancel, Code, Error, Progress, Result, Secret, Version};

pub const KEY: &str = "canary backup key 7c1f0a";

/// A folder to back up, a repository, and a folder to restore to.
pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub store: Arc<dyn BackupStore>,
    pub repo: Repository,
    pub identity: Identity,
    pub keys: WriterKeys,
    made: AtomicU64,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new())).await
    }

    pub async fn on(store: Arc<dyn BackupStore>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("source")).unwrap();
        let options = InitOptions { work_factor: Some(2) };
        let (repo, identity) = Repository::init(store.clone(), &Secret::new(KEY), options).await.unwrap();
        let keys = identity.writer_keys();
        Self { dir, store, repo, identity, keys, made: AtomicU64::new(0) }
    }

    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.source().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn next_id(&self) -> BackupId {
        let second = self.made.fetch_add(1, Ordering::SeqCst);
        BackupId::new(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + second),
            &Version::current(),
        )
    }

    pub fn request(&self) -> BackupRequest {
        BackupRequest::new(self.next_id(), vec![Source::new("source", self.source())])
            .with_cache_dir(self.dir.path().join("cache"))
    }

    pub async fn backup(&self) -> Summary {
        self.try_backup(&self.repo).await.unwrap()
    }

    /// Makes a backup with this name and its time.
    pub async fn backup_as(&self, id: &str) -> Summary {
        let mut request = self.request();
        request.id = id.parse().unwrap();
        self.repo.backup(&self.keys, request, &Progress::none(), &Cancel::new()).await.unwrap()
    }

    /// Copies a backup of that name from another repository into this one.
    pub async fn bring(&self, id: &str) {
        let other = Box::pin(Self::new()).await;
        other.write("file", "brought");
        let ids = [other.backup_as(id).await.id];
        let to = (&self.repo, &self.keys);
        let (progress, cancel) = (Progress::none(), Cancel::new());
        let report = other.repo.copy_snapshots(&other.identity, &ids, to, &progress, &cancel).await;
        assert_eq!(report.unwrap().copied, ids);
    }

    pub async fn try_backup(&self, repo: &Repository) -> Result<Summary> {
        repo.backup(&self.keys, self.request(), &Progress::none(), &Cancel::new()).await
    }

    /// Returns the restored path of the source below `target`.
    pub fn restored(&self, target: &str) -> PathBuf {
        self.target(target).join(self.source().strip_prefix("/").unwrap())
    }

    pub fn target(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn restore(&self, id: &BackupId, target: &str) -> Result<RestoreReport> {
        self.restore_with(id, &RestoreRequest::under(self.target(target))).await
    }

    pub async fn restore_with(&self, id: &BackupId, request: &RestoreRequest) -> Result<RestoreReport> {
        self.repo.restore(&self.identity, id, request, &Progress::none(), &Cancel::new()).await
    }

    pub async fn compare(&self, id: &BackupId, target: &str) -> CompareReport {
        let request = RestoreRequest::under(self.target(target));
        self.repo.compare(&self.identity, id, &request, &Progress::none(), &Cancel::new()).await.unwrap()
    }

    /// Restores and checks that the tree is the same, with the crate's comparison and with another one.
    pub async fn assert_restores(&self, id: &BackupId, target: &str) {
        let report = self.restore(id, target).await.unwrap();
        assert!(report.is_complete(), "{:?}", report.failed);
        assert_eq!(report.warnings, Vec::<String>::new());
        let compared = self.compare(id, target).await;
        assert!(compared.is_identical(), "{:?}", compared.differences);
        cloudron_testkit::tree::assert_same(&self.source(), &self.restored(target));
    }

    /// Returns the key of a backup's manifest.
    pub fn manifest_of(made: &Summary) -> String {
        format!("snapshots/{}.age", made.manifest.sha256)
    }

    pub async fn keys_under(&self, prefix: &str) -> Vec<String> {
        self.store.list(prefix).await.unwrap().into_iter().map(|o| o.key).collect()
    }
}

/// Returns incompressible bytes.
pub fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut out);
    out
}

/// A store that fails after a number of calls.
#[derive(Debug)]
pub struct Failing {
    inner: Arc<dyn BackupStore>,
    left: AtomicU64,
    code: &'static Code,
    writes_only: bool,
}

impl Failing {
    pub fn after(inner: &Arc<dyn BackupStore>, calls: u64, code: &'static Code) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), left: AtomicU64::new(calls), code, writes_only: false })
    }

    pub fn writes_after(inner: &Arc<dyn BackupStore>, calls: u64, code: &'static Code) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), left: AtomicU64::new(calls), code, writes_only: true })
    }

    fn call(&self, write: bool) -> Result<()> {
        if self.writes_only && !write {
            return Ok(());
        }
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        left.map(drop).map_err(|_| Error::new(self.code, "made to fail").retryable(false))
    }

    pub fn was_used_up(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

#[async_trait]
impl BackupStore for Failing {
    fn url(&self) -> String {
        "failing:".into()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.call(true)?;
        self.inner.put(key, content).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.call(true)?;
        self.inner.put_new(key, content).await
    }
    async fn get(&self, key: &str) -> Result<Bytes> {
        self.call(false)?;
        self.inner.get(key).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.call(false)?;
        self.inner.get_range(key, range).await
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.call(false)?;
        self.inner.head(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.call(false)?;
        self.inner.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.call(true)?;
        self.inner.delete(key).await
    }
}

pub fn set_mtime(path: &Path, time: SystemTime) {
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A store that counts requests, and bytes read from packs.
#[derive(Debug)]
pub struct Counting {
    inner: Arc<dyn BackupStore>,
    read: AtomicU64,
    requests: AtomicU64,
}

impl Counting {
    pub fn over(inner: &Arc<dyn BackupStore>) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), read: AtomicU64::new(0), requests: AtomicU64::new(0) })
    }

    /// Returns the bytes read from packs since the last call.
    pub fn taken(&self) -> u64 {
        self.read.swap(0, Ordering::SeqCst)
    }

    /// Returns the requests since the last call.
    pub fn requests(&self) -> u64 {
        self.requests.swap(0, Ordering::SeqCst)
    }

    fn inner(&self) -> &dyn BackupStore {
        self.requests.fetch_add(1, Ordering::SeqCst);
        &*self.inner
    }

    fn count(&self, key: &str, content: Bytes) -> Bytes {
        if key.starts_with("packs/") {
            self.read.fetch_add(content.len() as u64, Ordering::SeqCst);
        }
        content
    }
}

#[async_trait]
impl BackupStore for Counting {
    fn url(&self) -> String {
        self.inner.url()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.inner().put(key, content).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.inner().put_new(key, content).await
    }
    async fn get(&self, key: &str) -> Result<Bytes> {
        Ok(self.count(key, self.inner().get(key).await?))
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        Ok(self.count(key, self.inner().get_range(key, range).await?))
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.inner().head(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.inner().list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.inner().delete(key).await
    }
}
