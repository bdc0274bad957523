//! A repository in a folder with a source that changes, and the conditions that must always hold.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_backup::encrypt::{AgeIdentities, Decryptor};
use cloudron_backup::{FsStore, Repository, VerifyDepth};
use cloudron_core::{BackupId, Cancel, Progress};
use cloudron_testkit::tree::{self, Rng};

use crate::child::{Die, Spec, Work};
use crate::common::{Fixture, noise};

/// Returns the number of rounds of a sweep.
pub fn rounds(default: u64) -> u64 {
    number("CLOUDRON_TEST_ROUNDS").unwrap_or(default)
}

/// Returns the seed of the random choices of a sweep.
pub fn seed() -> u64 {
    number("CLOUDRON_TEST_SEED").unwrap_or(1)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

pub type Digest = BTreeMap<PathBuf, tree::Entry>;

pub struct World {
    pub f: Fixture,
    pub rng: Rng,
    store: tempfile::TempDir,
    /// The state of the source at each backup.
    pub made: BTreeMap<BackupId, Digest>,
    restored: u64,
    changes: u64,
}

impl World {
    pub async fn new(seed: u64) -> Self {
        let store = tempfile::tempdir().unwrap();
        let f = Fixture::on(Arc::new(FsStore::new(store.path().join("s")).unwrap())).await;
        let this = Self { f, rng: Rng::new(seed), store, made: BTreeMap::new(), restored: 0, changes: 0 };
        for i in 0..3 {
            this.f.write(&format!("large{i}"), noise(6 << 20, i));
        }
        for i in 0..60 {
            this.f.write(&format!("small/{}/{i}", i % 7), format!("small file {i}"));
        }
        this
    }

    pub fn store(&self) -> PathBuf {
        self.store.path().join("s")
    }

    /// Returns a folder for the input and output of a child process.
    pub fn folder(&self) -> PathBuf {
        self.store.path().to_owned()
    }

    pub fn cache(&self) -> PathBuf {
        self.f.dir.path().join("cache")
    }

    /// Changes some files, so that the next backup has something to store.
    pub fn change(&mut self) {
        self.changes += 1;
        let large = self.rng.below(4);
        let length = 1 + self.rng.below(7 << 20) as usize;
        self.f.write(&format!("large{large}"), noise(length, self.changes as u8));
        for _ in 0..10 {
            let (folder, name) = (self.rng.below(9), self.rng.below(90));
            let path = self.f.source().join(format!("small/{folder}/{name}"));
            if self.rng.below(3) == 0 {
                let _ = std::fs::remove_file(path);
            } else {
                let length = self.rng.below(30_000) as usize;
                self.f.write(&format!("small/{folder}/{name}"), noise(length, self.rng.below(256) as u8));
            }
        }
    }

    pub fn source(&self) -> Digest {
        tree::digest(&self.f.source()).unwrap()
    }

    pub fn backup_spec(&self, die: Option<Die>) -> Spec {
        let (source, cache) = (self.f.source(), Some(self.cache()));
        let keys = Box::new(self.f.keys.clone());
        Spec { store: self.store(), id: self.f.next_id(), work: Work::Backup { source, cache, keys }, die }
    }

    /// Makes a backup that must succeed, without any cache.
    pub async fn backup(&mut self) {
        let repo = Repository::open(Arc::new(FsStore::new(self.store()).unwrap())).await.unwrap();
        let id = self.f.try_backup(&repo).await.unwrap().id;
        self.made.insert(id, self.source());
    }

    /// Checks that every backup made is listed and sound, and adds the one that an interrupted run may have completed.
    pub async fn check(&mut self, cut_off: Option<&BackupId>, context: &str) {
        let list = self.f.repo.snapshots().await.unwrap();
        assert!(list.unreadable.is_empty(), "{context}: {:?}", list.unreadable);
        let listed: HashSet<BackupId> = list.summaries.into_iter().map(|s| s.id).collect();
        for id in self.made.keys() {
            assert!(listed.contains(id), "{context}: {id} is lost");
        }
        for id in &listed {
            assert!(self.made.contains_key(id) || cut_off == Some(id), "{context}: {id} is nobody's");
        }
        if let Some(id) = cut_off.filter(|id| listed.contains(id)) {
            self.made.insert(id.clone(), self.source());
        }
        let f = &self.f;
        let (progress, cancel) = (Progress::none(), Cancel::new());
        let report = f.repo.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap();
        assert!(report.is_good(), "{context}: {:?}", report.problems);
        if let Some(id) = self.made.keys().next_back().cloned() {
            self.restores(&id, context).await;
        }
    }

    /// Checks that a backup restores to the state of the source.
    pub async fn restores(&mut self, id: &BackupId, context: &str) {
        self.restored += 1;
        let target = format!("restored{}", self.restored);
        let report = self.f.restore(id, &target).await.unwrap();
        assert!(report.is_complete(), "{context}: {id}: {:?}", report.failed);
        let found = tree::digest(&self.f.restored(&target)).unwrap();
        let differences = tree::compare(&self.made[id], &found);
        assert!(differences.is_empty(), "{context}: {id}: {differences:?}");
        std::fs::remove_dir_all(self.f.target(&target)).unwrap();
    }

    /// Checks every backup.
    pub async fn all_restore(&mut self, context: &str) {
        for id in self.made.keys().cloned().collect::<Vec<_>>() {
            self.restores(&id, context).await;
        }
    }

    /// Returns the files in the store or in the cache that nothing refers to.
    pub async fn orphans(&self) -> Vec<String> {
        let mut found = temporary_files(&self.store());
        found.extend(temporary_files(&self.cache()));
        let key = AgeIdentities::parse([&self.f.keys.index_identity]).unwrap();
        let mut indexed = HashSet::new();
        for object in self.f.keys_under("index/").await {
            let plain = key.open_bytes(&self.f.store.get(&object).await.unwrap()).unwrap();
            for line in String::from_utf8(zstd::decode_all(&plain[..]).unwrap()).unwrap().lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                indexed.extend(line["pack"].as_str().map(str::to_owned));
            }
        }
        for pack in self.f.keys_under("packs/").await {
            let id = pack.rsplit('/').next().unwrap().trim_end_matches(".age");
            if !indexed.contains(id) {
                found.push(pack);
            }
        }
        let snapshots: HashSet<String> = self.f.keys_under("snapshots/").await.into_iter().collect();
        let listed = self.f.repo.snapshots().await.unwrap().summaries;
        let named: HashSet<String> = listed.iter().map(Fixture::manifest_of).collect();
        found.extend(snapshots.into_iter().filter(|k| k.ends_with(".age") && !named.contains(k)));
        found
    }
}

pub fn temporary_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(temporary_files(&path));
        } else if entry.file_name().to_string_lossy().starts_with('.') {
            found.push(path.display().to_string());
        }
    }
    found
}
