//! The checks that a store must pass to hold a repository. An implementation's own tests call [`check`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::codes;
use crate::store::{BackupStore, Thaw};

/// Runs every check on an empty store and leaves it empty.
///
/// # Panics
/// When the store violates the contract of [`BackupStore`]; the message says how.
pub async fn check(store: Arc<dyn BackupStore>) {
    check_with(store, 8).await;
}

/// Runs the checks without concurrent writers, for test servers that emulate conditional writes by looking
/// first. A store that passes only this must not be used by more than one machine.
///
/// # Panics
/// As [`check`].
pub async fn check_one_writer(store: Arc<dyn BackupStore>) {
    check_with(store, 1).await;
}

async fn check_with(store: Arc<dyn BackupStore>, writers: u8) {
    assert!(
        store.list("").await.expect("listing an empty store works").is_empty(),
        "the store must be empty"
    );
    absent(&*store).await;
    round_trip(&*store).await;
    put_new(store.clone(), writers).await;
    put_new_file(&*store).await;
    replacing(store.clone()).await;
    listing(&*store).await;
    keys(&*store).await;
    assert!(store.list("").await.expect("listing works").is_empty(), "deleted objects are not listed");
}

async fn absent(store: &dyn BackupStore) {
    assert!(store.get("a/none").await.expect_err("no object").is(&codes::OBJECT_MISSING));
    assert!(store.get_range("a/none", 0..1).await.expect_err("no object").is(&codes::OBJECT_MISSING));
    assert_eq!(store.head("a/none").await.expect("head of nothing works"), None);
    store.delete("a/none").await.expect("deleting nothing is fine");
}

async fn round_trip(store: &dyn BackupStore) {
    let large = Bytes::from((0..3_000_000u32).map(|i| (i % 251) as u8).collect::<Vec<_>>());
    for content in [Bytes::new(), Bytes::from_static(b"one"), large] {
        store.put("x/object", &content).await.expect("put works");
        assert_eq!(store.get("x/object").await.expect("get works"), content);
        let head = store.head("x/object").await.expect("head works").expect("the object is there");
        assert_eq!((head.key.as_str(), head.size), ("x/object", content.len() as u64));
        let part = store.get_range("x/object", 1..3).await.expect("get_range works");
        assert_eq!(part, content.slice(1.min(content.len())..3.min(content.len())));
        let beyond = store.get_range("x/object", 2..u64::MAX).await.expect("a range may end behind the end");
        assert_eq!(beyond, content.slice(2.min(content.len())..));
    }
    store.delete("x/object").await.expect("delete works");
    assert_eq!(store.head("x/object").await.expect("head works"), None, "a deleted object is gone");
}

async fn put_new(store: Arc<dyn BackupStore>, writers: u8) {
    let tasks: Vec<_> = (0..writers)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move { (i, store.put_new("n/one", &Bytes::from(vec![i; 1000])).await) })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        let (i, won) = task.await.expect("no panic");
        if won.expect("put_new works") {
            winners.push(i);
        }
    }
    assert_eq!(winners.len(), 1, "exactly one of several put_new wins");
    let kept = store.get("n/one").await.expect("get works");
    assert_eq!(kept, vec![winners[0]; 1000], "the winner's content is kept");
    assert!(!store.put_new("n/one", &Bytes::new()).await.expect("put_new works"));
    store.delete("n/one").await.expect("delete works");
}

async fn put_new_file(store: &dyn BackupStore) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), vec![7u8; 100_000]).expect("writing it");
    assert!(store.put_new_file("f/one", file.path()).await.expect("put_new_file works"));
    assert!(!store.put_new_file("f/one", file.path()).await.expect("put_new_file works"));
    assert_eq!(store.get("f/one").await.expect("get works"), vec![7u8; 100_000]);
    store.delete("f/one").await.expect("delete works");
}

/// Checks that long listings are complete: creates `objects` objects, lists and deletes them. Stores that
/// list in pages, mostly of 1,000, should be checked with more than that.
///
/// # Panics
/// As [`check`].
pub async fn check_long_list(store: Arc<dyn BackupStore>, objects: usize) {
    let keys: Vec<String> = (0..objects).map(|i| format!("many/{:02x}/{i:06}", i % 256)).collect();
    let at_once = keys.len().div_ceil(16).max(1);
    let each = |work: fn(Arc<dyn BackupStore>, String) -> Done| {
        let tasks = keys.chunks(at_once).map(<[String]>::to_vec).map(|keys| {
            let store = store.clone();
            tokio::spawn(async move {
                for key in keys {
                    work(store.clone(), key).await;
                }
            })
        });
        tasks.collect::<Vec<_>>()
    };
    for task in
        each(|store, key| Box::pin(async move { store.put(&key, &Bytes::new()).await.expect("put works") }))
    {
        task.await.expect("no panic");
    }
    let mut expected = keys.clone();
    expected.sort_unstable();
    let found = store.list("many/").await.expect("list works");
    let found: Vec<&str> = found.iter().map(|m| m.key.as_str()).collect();
    assert_eq!(found, expected, "a long list has every key once, sorted");
    for task in each(|store, key| Box::pin(async move { store.delete(&key).await.expect("delete works") })) {
        task.await.expect("no panic");
    }
    assert!(store.list("").await.expect("list works").is_empty(), "deleted objects are not listed");
}

type Done = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Checks that a reader of an object that is replaced repeatedly sees one of the contents, whole.
async fn replacing(store: Arc<dyn BackupStore>) {
    let contents = [Bytes::from(vec![1u8; 200_000]), Bytes::from(vec![2u8; 100_000])];
    store.put("r/one", &contents[0]).await.expect("put works");
    let writer = {
        let (store, contents) = (store.clone(), contents.clone());
        tokio::spawn(async move {
            for i in 0..10 {
                store.put("r/one", &contents[(i + 1) % 2]).await.expect("put works");
            }
        })
    };
    for _ in 0..10 {
        let read = store.get("r/one").await.expect("an object that is replaced can be read");
        assert!(contents.contains(&read), "a reader sees the old or the new content, whole");
        let size = store.head("r/one").await.expect("head works").expect("it is there").size;
        assert!(contents.iter().any(|c| c.len() as u64 == size), "and so does head");
    }
    writer.await.expect("no panic");
    let listed = store.list("r/").await.expect("list works");
    assert_eq!(listed.len(), 1, "an object that was replaced is listed once");
    assert_eq!(listed[0].size, contents[0].len() as u64, "with the size of what was written last");
    assert!(!listed[0].archived, "what was just written can be read");
    assert_eq!(store.thaw("r/one", 1).await.expect("thaw works"), Thaw::Ready);
    if let Some(modified) = listed[0].modified {
        let age = modified.elapsed().unwrap_or_default();
        assert!(
            age < Duration::from_secs(3600),
            "the time of the last write is about now, by the store's clock"
        );
    }
    store.delete("r/one").await.expect("delete works");
    assert!(
        store.put_new("r/one", &contents[1]).await.expect("put_new works"),
        "after a delete a key is free"
    );
    store.delete("r/one").await.expect("delete works");
}

async fn listing(store: &dyn BackupStore) {
    let keys = ["l/a", "l/a-b", "l/b/c", "la/x", "m"];
    for key in keys {
        store.put(key, &Bytes::from_static(b"x")).await.expect("put works");
    }
    for prefix in ["", "l", "l/", "l/a", "l/b/", "m", "zz"] {
        let found = store.list(prefix).await.expect("list works");
        let found: Vec<&str> = found.iter().map(|m| m.key.as_str()).collect();
        let mut expected: Vec<&str> = keys.into_iter().filter(|k| k.starts_with(prefix)).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "list({prefix:?}) gives the keys with that prefix, sorted");
    }
    for key in keys {
        store.delete(key).await.expect("delete works");
    }
}

async fn keys(store: &dyn BackupStore) {
    for key in ["", "../x", "a/../b", "/a", "a//b", ".x"] {
        let refused = store.put(key, &Bytes::new()).await.expect_err("the key is refused");
        assert!(refused.is(&codes::STORE_KEY), "{key:?}");
        assert!(store.put_new(key, &Bytes::new()).await.is_err(), "{key:?}");
        assert!(store.get(key).await.is_err(), "{key:?}");
        assert!(store.delete(key).await.is_err(), "{key:?}");
    }
}
