//! Benchmarks of the parts of a backup, in memory: `cargo bench -p cloudron-backup`. `compare.sh` compares
//! whole backups on disk with other programs.

#![allow(missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use cloudron_backup::{
    BackupRequest, BackupStore, Identity, InitOptions, MemoryStore, Repository, RestoreRequest, Source,
};
use cloudron_core::{BackupId, Cancel, Progress, Secret, Version};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// A folder and a repository in memory.
struct World {
    runtime: Runtime,
    folder: tempfile::TempDir,
    cache: tempfile::TempDir,
    repository: Repository,
    identity: Identity,
}

impl World {
    fn new(fill: impl FnOnce(&Path)) -> Self {
        let runtime = Runtime::new().unwrap();
        let store: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
        let options = InitOptions { work_factor: Some(2) };
        let key = Secret::new("the key of a benchmark");
        let (repository, identity) = runtime.block_on(Repository::init(store, &key, options)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        Self { runtime, folder, cache: tempfile::tempdir().unwrap(), repository, identity }
    }

    /// Makes one more backup, with its own id.
    fn backup(&self, number: u64) -> BackupId {
        let time = SystemTime::now() + std::time::Duration::from_secs(number);
        let id = BackupId::new(time, &Version::current());
        let mut request = BackupRequest::new(id.clone(), vec![Source::new("data", self.folder.path())]);
        request.cache_dir = Some(self.cache.path().to_owned());
        let keys = self.identity.writer_keys();
        let (progress, cancel) = (Progress::none(), Cancel::new());
        let run = self.repository.backup(&keys, request, &progress, &cancel);
        self.runtime.block_on(run).unwrap();
        id
    }
}

fn small_files(folder: &Path, files: usize) {
    for n in 0..files {
        let folder = folder.join(format!("{}", n / 1000));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{n}")), format!("the content of file number {n}")).unwrap();
    }
}

/// Returns bytes that do not compress and do not repeat.
fn random_bytes(len: usize) -> Vec<u8> {
    let mut content = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    content
}

/// Cutting, hashing, compressing and encrypting one file.
#[divan::bench(sample_count = 10)]
fn chunk_a_file_of_64_mib(bencher: Bencher<'_, '_>) {
    let content = random_bytes(64 << 20);
    bencher
        .counter(BytesCount::new(content.len()))
        .with_inputs(|| World::new(|folder| std::fs::write(folder.join("file"), &content).unwrap()))
        .bench_local_refs(|world| world.backup(0));
}

/// Walking, comparing with the cache, and writing a manifest.
#[divan::bench(args = [1000, 10_000], sample_count = 10)]
fn back_up_files_that_did_not_change(bencher: Bencher<'_, '_>, files: usize) {
    let world = World::new(|folder| small_files(folder, files));
    world.backup(0);
    let mut number = 0;
    bencher.counter(ItemsCount::new(files)).bench_local(|| {
        number += 1;
        world.backup(number)
    });
}

/// Reading a manifest and checking it.
#[divan::bench(args = [1000, 10_000], sample_count = 10)]
fn read_a_manifest(bencher: Bencher<'_, '_>, files: usize) {
    let world = World::new(|folder| small_files(folder, files));
    let id = world.backup(0);
    bencher.counter(ItemsCount::new(files)).bench_local(|| {
        let (progress, cancel) = (Progress::none(), Cancel::new());
        let run = world.repository.entries(&world.identity, &id, &[], |_| Ok(()), &progress, &cancel);
        world.runtime.block_on(run).unwrap()
    });
}

/// Reading chunks and writing files.
#[divan::bench(args = [1000], sample_count = 10)]
fn restore_small_files(bencher: Bencher<'_, '_>, files: usize) {
    let world = World::new(|folder| small_files(folder, files));
    let id = world.backup(0);
    bencher.counter(ItemsCount::new(files)).with_inputs(|| tempfile::tempdir().unwrap()).bench_local_refs(
        |target| {
            let request = RestoreRequest::under(target.path());
            let (progress, cancel) = (Progress::none(), Cancel::new());
            let run = world.repository.restore(&world.identity, &id, &request, &progress, &cancel);
            world.runtime.block_on(run).unwrap()
        },
    );
}
