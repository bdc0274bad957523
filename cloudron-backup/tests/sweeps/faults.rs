//! A store that responds incorrectly.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{BackupStore, MemoryStore, ObjectMeta, Repository, VerifyDepth};
use cloudron_core::{Cancel, Code, Error, ErrorKind, Progress, Result};
use cloudron_testkit::tree::{self, Rng};

use crate::common::{Fixture, noise};
use crate::world::{rounds, seed};

static UNAVAILABLE: Code = Code {
    name: "store-unavailable",
    kind: ErrorKind::Unavailable,
    explanation: "The store answers with an error that may pass.",
};

/// A fault of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The call is refused.
    Refused,
    /// A write is executed, but its response is lost.
    AnswerLost,
    /// A read returns too few bytes.
    Short,
    /// A read returns other bytes.
    Other,
    /// New objects are not listed yet.
    Late,
    /// Deleted objects are still listed.
    Ghost,
}

/// A store with a fault at some calls.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn BackupStore>,
    fault: Fault,
    /// The calls with the fault, by number.
    at: Range<u64>,
    calls: AtomicU64,
    /// Objects written through this store, for delayed listings.
    new: Mutex<HashMap<String, ObjectMeta>>,
    ghosts: Vec<ObjectMeta>,
}

impl Faulty {
    fn new(inner: &Arc<dyn BackupStore>, fault: Fault, at: Range<u64>) -> Arc<Self> {
        let (calls, new) = (AtomicU64::new(0), Mutex::default());
        Arc::new(Self { inner: inner.clone(), fault, at, calls, new, ghosts: Vec::new() })
    }

    fn meets(&self, faults: &[Fault]) -> bool {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        self.at.contains(&call) && faults.contains(&self.fault)
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn write<T>(&self, key: &str, write: impl Future<Output = Result<T>>) -> Result<T> {
        let broken = || Error::new(&UNAVAILABLE, "made to fail");
        if !self.meets(&[Fault::Refused, Fault::AnswerLost]) {
            let done = write.await?;
            if let Ok(Some(meta)) = self.inner.head(key).await {
                self.new.lock().unwrap().insert(key.to_owned(), meta);
            }
            return Ok(done);
        }
        if self.fault == Fault::AnswerLost {
            write.await?;
        }
        Err(broken())
    }

    async fn read(&self, read: impl Future<Output = Result<Bytes>>) -> Result<Bytes> {
        if !self.meets(&[Fault::Refused, Fault::Short, Fault::Other]) {
            return read.await;
        }
        let content = read.await?;
        match self.fault {
            Fault::Short => Ok(content.slice(..content.len() / 2)),
            Fault::Other => {
                let mut other = content.to_vec();
                let middle = other.len() / 2;
                if let Some(byte) = other.get_mut(middle) {
                    *byte ^= 1;
                }
                Ok(other.into())
            }
            _ => Err(Error::new(&UNAVAILABLE, "made to fail")),
        }
    }
}

#[async_trait]
impl BackupStore for Faulty {
    fn url(&self) -> String {
        "faulty:".into()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.write(key, self.inner.put(key, content)).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.write(key, self.inner.put_new(key, content)).await
    }
    async fn put_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        self.write(key, self.inner.put_new_file(key, file)).await
    }
    async fn get(&self, key: &str) -> Result<Bytes> {
        self.read(self.inner.get(key)).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.read(self.inner.get_range(key, range)).await
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        if self.meets(&[Fault::Refused]) {
            return Err(Error::new(&UNAVAILABLE, "made to fail"));
        }
        self.inner.head(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let meets = self.meets(&[Fault::Refused, Fault::Late, Fault::Ghost]);
        let mut found = self.inner.list(prefix).await?;
        match self.fault {
            _ if !meets => {}
            Fault::Late => {
                // Half of the existing objects are not listed yet, and none that was just written.
                let new = self.new.lock().unwrap();
                let mut n = 0;
                found.retain(|o| {
                    n += 1;
                    !new.contains_key(&o.key) && n % 2 == 0
                });
            }
            Fault::Ghost => {
                found.extend(self.ghosts.iter().filter(|o| o.key.starts_with(prefix)).cloned());
                found.sort_by(|a, b| a.key.cmp(&b.key));
                found.dedup_by(|a, b| a.key == b.key);
            }
            _ => return Err(Error::new(&UNAVAILABLE, "made to fail")),
        }
        Ok(found)
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.write(key, self.inner.delete(key)).await
    }
}

fn fill(f: &Fixture) {
    for i in 0..3 {
        f.write(&format!("large{i}"), noise(6 << 20, i));
    }
    for i in 0..40 {
        f.write(&format!("small/{i}"), format!("small file {i}"));
    }
}

async fn is_sound(f: &Fixture) -> bool {
    let (progress, cancel) = (Progress::none(), Cancel::new());
    f.repo.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap().is_good()
}

#[tokio::test]
async fn no_answer_of_a_store_makes_a_backup_count_that_is_not_whole() {
    let mut rng = Rng::new(seed());
    let faults = [Fault::Refused, Fault::AnswerLost, Fault::Short, Fault::Other, Fault::Late, Fault::Ghost];
    for round in 0..rounds(6) {
        let f = Fixture::on(Arc::new(MemoryStore::new())).await;
        fill(&f);
        let first = f.backup().await.id;
        let old = tree::digest(&f.source()).unwrap();
        f.write("large1", noise(5 << 20, round as u8 + 50));
        f.write("small/new", format!("round {round}"));
        let fault = faults[(round % faults.len() as u64) as usize];
        let start = rng.below(14);
        let length = [1, 2, 100][rng.below(3) as usize];
        let mut faulty = Faulty::new(&f.store, fault, start..start + length);
        // Deleted objects may be listed for a while: they are in a listing and cannot be read.
        let gone = |key: &str| ObjectMeta { key: key.into(), size: 5, modified: None, archived: false };
        let ghosts = vec![
            gone(&format!("packs/00/{}.age", "00".repeat(32))),
            gone(&format!("index/{}.age", "00".repeat(32))),
            gone("snapshots/backup_2026-01-02T03-04-05Z_v1.0.0.json"),
        ];
        Arc::get_mut(&mut faulty).unwrap().ghosts = ghosts;
        let context = format!("round {round}: {fault:?} at {start}, {length} times");
        let made = match Repository::open(faulty.clone()).await {
            Ok(repo) => f.try_backup(&repo).await,
            Err(e) => Err(e),
        };
        // A call that keeps failing is not repeated forever.
        assert!(faulty.calls() < 400, "{context}: {} calls", faulty.calls());
        assert!(is_sound(&f).await, "{context}");
        let listed: Vec<_> = f.repo.snapshots().await.unwrap().summaries.into_iter().map(|s| s.id).collect();
        assert!(listed.contains(&first), "{context}: {listed:?}");
        if let Ok(made) = &made {
            assert!(listed.contains(&made.id), "{context}");
            assert!(
                made.sequence == 2 || matches!(fault, Fault::Late | Fault::Short | Fault::Other),
                "{context}"
            );
        }
        // Every listed backup restores.
        for id in listed.iter().filter(|id| **id != first) {
            f.assert_restores(id, "new").await;
        }
        assert!(f.restore(&first, "old").await.unwrap().is_complete(), "{context}");
        let differences = tree::compare(&old, &tree::digest(&f.restored("old")).unwrap());
        assert!(differences.is_empty(), "{context}: {differences:?}");
        // The next one, on a store that works again.
        let last = f.backup().await.id;
        f.assert_restores(&last, "last").await;
        assert!(is_sound(&f).await, "{context}");
    }
}

#[tokio::test]
async fn no_answer_of_a_store_makes_a_restore_or_a_check_count_that_is_not_whole() {
    let mut rng = Rng::new(seed());
    let f = Fixture::on(Arc::new(MemoryStore::new())).await;
    fill(&f);
    let id = f.backup().await.id;
    let faults = [Fault::Refused, Fault::Short, Fault::Other, Fault::Late];
    let (progress, cancel) = (Progress::none(), Cancel::new());
    for round in 0..rounds(4) {
        let fault = faults[(round % faults.len() as u64) as usize];
        let start = 1 + rng.below(9);
        let faulty = Faulty::new(&f.store, fault, start..start + [1, 100][rng.below(2) as usize]);
        let context = format!("round {round}: {fault:?} from {:?}", faulty.at);
        let repo = Repository::open(faulty.clone()).await.unwrap();
        let target = format!("out{round}");
        let request = cloudron_backup::RestoreRequest::under(f.target(&target));
        let done = repo.restore(&f.identity, &id, &request, &progress, &cancel).await;
        if done.is_ok_and(|r| r.is_complete()) {
            tree::assert_same(&f.source(), &f.restored(&target));
        }
        let _ = std::fs::remove_dir_all(f.target(&target));
        let faulty = Faulty::new(&f.store, fault, start..start + 100);
        let repo = Repository::open(faulty.clone()).await.unwrap();
        let checked = repo.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await;
        // A check that met a fault reports it in some way.
        let told = checked.is_err() || checked.is_ok_and(|r| !r.is_good());
        assert!(told || faulty.calls() <= start || fault == Fault::Late, "{context}");
    }
}
