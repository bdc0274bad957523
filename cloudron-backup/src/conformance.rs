//! The checks that a store must pass to hold a repository. An implementation's own tests call [`check`].

use std::sync::Arc;

use bytes::Bytes;

use crate::codes;
use crate::store::BackupStore;

/// Runs every check on an empty store and leaves it empty.
///
/// # Panics
/// When the store breaks a promise of [`BackupStore`]; the message says which.
pub async fn check(store: Arc<dyn BackupStore>) {
    assert!(
        store.list("").await.expect("listing an empty store works").is_empty(),
        "the store must be empty"
    );
    absent(&*store).await;
    round_trip(&*store).await;
    put_new(store.clone()).await;
    put_new_file(&*store).await;
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

async fn put_new(store: Arc<dyn BackupStore>) {
    let tasks: Vec<_> = (0..8u8)
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
    }
}
