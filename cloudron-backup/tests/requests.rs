//! The number of requests of a run does not grow with the number of backups in the store.

mod common;

use std::sync::Arc;

use bytes::Bytes;
use cloudron_backup::{MemoryStore, Repository};
use cloudron_core::{Cancel, Progress};
use common::{Counting, Fixture};

const MANY: u64 = 200;

/// Returns a fixture that counts its requests.
async fn counted() -> (Fixture, Arc<Counting>) {
    let memory: Arc<dyn cloudron_backup::BackupStore> = Arc::new(MemoryStore::new());
    let store = Counting::over(&memory);
    let f = Fixture::on(store.clone()).await;
    f.write("file", "content");
    // The second one reads the index that the first one wrote, and caches it.
    f.backup().await;
    f.backup().await;
    (f, store)
}

/// Returns the number of requests of one more backup, with or without the cache of this machine.
async fn of_a_backup(f: &Fixture, store: &Counting, remembered: bool) -> u64 {
    store.requests();
    let mut request = f.request();
    request.cache_dir.take_if(|_| !remembered);
    f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap();
    store.requests()
}

#[tokio::test]
async fn a_backup_makes_as_many_requests_with_many_backups_in_the_store_as_with_few() {
    let (f, store) = counted().await;
    let few = of_a_backup(&f, &store, true).await;
    // Backups of another machine, whose numbers are read once.
    for _ in 0..MANY {
        of_a_backup(&f, &store, false).await;
    }
    let learning = of_a_backup(&f, &store, true).await;
    assert_eq!(learning, few + MANY);
    assert_eq!(of_a_backup(&f, &store, true).await, few);
    std::fs::remove_dir_all(f.dir.path().join("cache")).unwrap();
    assert!(of_a_backup(&f, &store, true).await > few + MANY, "what is lost is read again");
    assert_eq!(of_a_backup(&f, &store, true).await, few);
    let sequences: Vec<u64> =
        f.repo.snapshots().await.unwrap().summaries.iter().map(|s| s.sequence).collect();
    assert_eq!(sequences, (1..=MANY + 7).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_reads_only_summaries_that_are_new_or_changed() {
    let (f, store) = counted().await;
    for _ in 0..8 {
        f.backup().await;
    }
    let open = async || {
        let repo = Repository::open(f.store.clone()).await.unwrap().with_cache_dir(f.dir.path().join("list"));
        store.requests();
        repo
    };
    let first = open().await.snapshots().await.unwrap();
    assert_eq!((first.summaries.len(), store.requests()), (10, 13));
    assert_eq!(open().await.snapshots().await.unwrap().summaries, first.summaries);
    assert_eq!(store.requests(), 3);

    f.backup().await;
    let key = format!("snapshots/{}.json", first.summaries[0].id);
    f.store.put(&key, &Bytes::from_static(b"{}")).await.unwrap();
    let changed = open().await.snapshots().await.unwrap();
    assert_eq!((changed.summaries.len(), changed.unreadable.len(), store.requests()), (10, 1, 5));

    let (_, kept) = (f.store.delete(&key).await.unwrap(), f.dir.path().join("list"));
    let gone = open().await.snapshots().await.unwrap();
    assert_eq!((gone.summaries.len(), gone.unreadable.len(), store.requests()), (10, 0, 3));
    for file in walk(&kept) {
        std::fs::write(file, "not what was written").unwrap();
    }
    assert_eq!(open().await.snapshots().await.unwrap().summaries, gone.summaries);
}

#[tokio::test]
async fn a_copy_to_another_repository_does_not_read_all_that_is_there() {
    let (f, _) = counted().await;
    let memory: Arc<dyn cloudron_backup::BackupStore> = Arc::new(MemoryStore::new());
    let store = Counting::over(&memory);
    let other = Fixture::on(store.clone()).await;
    let target = other.repo.clone().with_cache_dir(f.dir.path().join("there"));
    let mut requests = Vec::new();
    for _ in 0..9 {
        let ids = [f.backup().await.id];
        store.requests();
        let to = (&target, &other.keys);
        let copied = f.repo.copy_snapshots(&f.identity, &ids, to, &Progress::none(), &Cancel::new()).await;
        assert_eq!(copied.unwrap().copied, ids);
        requests.push(store.requests());
    }
    // The first one stores the content.
    assert_eq!(requests[1..], [requests[1]; 8]);
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|e| if e.is_dir() { walk(&e) } else { vec![e] }).collect()
}

#[tokio::test]
async fn a_summary_that_nobody_signed_does_not_decide_the_next_number() {
    let (f, _) = counted().await;
    let second = f.backup().await;
    let mut forged = serde_json::to_value(&second).unwrap();
    let id = f.next_id();
    forged["id"] = id.to_string().into();
    forged["sequence"] = (u64::MAX - 1).into();
    forged["signature"] = "00".repeat(64).into();
    let (key, object) = (format!("snapshots/{id}.json"), serde_json::to_vec(&forged).unwrap());
    f.store.put(&key, &object.into()).await.unwrap();
    assert_eq!(f.backup().await.sequence, 4);
    // It is not remembered either after it was deleted.
    f.store.delete(&key).await.unwrap();
    assert_eq!(f.backup().await.sequence, 5);
}
