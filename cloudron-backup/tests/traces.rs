//! A repository whose description is lost, and key objects that are damaged.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cloudron_backup::{BackupStore, InitOptions, MemoryStore, Repository, codes};
use cloudron_core::{Result, Secret};
use common::{Fixture, KEY};

const CONFIG: &str = "cloudron-backup.json";

async fn init(store: &Arc<dyn BackupStore>, key: &str) -> Result<Repository> {
    let options = InitOptions { work_factor: Some(2) };
    Repository::init(store.clone(), &Secret::new(key), options).await.map(|(repository, _)| repository)
}

async fn content(store: &Arc<dyn BackupStore>) -> BTreeMap<String, Bytes> {
    let mut content = BTreeMap::new();
    for object in store.list("").await.unwrap() {
        content.insert(object.key.clone(), store.get(&object.key).await.unwrap());
    }
    content
}

#[tokio::test]
async fn no_repository_is_made_where_anything_of_another_is_and_nothing_is_touched() {
    let f = Fixture::new().await;
    f.write("file", "precious");
    let made = f.backup().await;
    let whole = content(&f.store).await;
    let folders = ["keys/", "packs/", "index/", "snapshots/"];
    // Each folder alone, and all of them together.
    for kept in folders.iter().map(std::slice::from_ref).chain([&folders[..]]) {
        let store: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
        for (key, object) in whole.iter().filter(|(key, _)| kept.iter().any(|folder| key.starts_with(folder)))
        {
            store.put(key, object).await.unwrap();
        }
        let before = content(&store).await;
        for key in [KEY, "another backup key"] {
            // The key of a repository that has nothing else finishes that one.
            if kept == ["keys/"] && key == KEY {
                continue;
            }
            let error = init(&store, key).await.unwrap_err();
            assert!(error.is(&codes::REPOSITORY_LOST) && error.hint().is_some(), "{kept:?}: {error:?}");
            assert_eq!(content(&store).await, before, "{kept:?}");
        }
        let error = Repository::open(store.clone()).await.unwrap_err();
        let missing = if kept == ["keys/"] { &codes::REPOSITORY_MISSING } else { &codes::REPOSITORY_LOST };
        assert!(error.is(missing), "{kept:?}: {error:?}");
    }
    let description = f.store.get(CONFIG).await.unwrap();
    f.store.delete(CONFIG).await.unwrap();
    let error = init(&f.store, KEY).await.unwrap_err();
    assert!(error.hint().unwrap().contains(&format!("put {CONFIG} back")), "{error:?}");
    // What the hint says.
    f.store.put(CONFIG, &description).await.unwrap();
    f.assert_restores(&made.id, "out").await;
}

#[tokio::test]
async fn an_init_that_was_cut_off_is_finished_with_its_key_and_with_no_other() {
    let store: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
    init(&store, KEY).await.unwrap();
    store.delete(CONFIG).await.unwrap();
    assert!(Repository::is_begun(&*store).await.unwrap());
    let before = content(&store).await;
    let error = init(&store, "another backup key").await.unwrap_err();
    assert!(error.is(&codes::REPOSITORY_LOST), "{error:?}");
    assert_eq!(content(&store).await, before);
    let repository = init(&store, KEY).await.unwrap();
    repository.unlock(&Secret::new(KEY)).await.unwrap();
    assert_eq!(store.list("keys/").await.unwrap().len(), 1);
    assert!(init(&store, KEY).await.unwrap_err().is(&codes::REPOSITORY_EXISTS));
}

#[tokio::test]
async fn a_damaged_key_object_is_never_a_wrong_key() {
    let f = Fixture::new().await;
    let object = f.keys_under("keys/").await.remove(0);
    let sound = f.store.get(&object).await.unwrap();
    for at in 0..sound.len() {
        let mut damaged = sound.to_vec();
        damaged[at] ^= 1 << (at % 8);
        f.store.put(&object, &damaged.into()).await.unwrap();
        match f.repo.unlock(&Secret::new(KEY)).await {
            // A bit that changes nothing, such as one of padding.
            Ok(_) => {}
            Err(e) => {
                assert!(e.is(&codes::REPOSITORY_CORRUPT) && e.to_string().contains("damaged"), "{at}: {e:?}");
            }
        }
    }
    f.store.put(&object, &sound).await.unwrap();
    let error = f.repo.unlock(&Secret::new("another backup key")).await.unwrap_err();
    assert!(error.is(&codes::BACKUP_KEY_WRONG), "{error:?}");
}
