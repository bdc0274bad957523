//! A repository whose description is missing, and damaged key objects.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cloudron_backup::{BackupStore, InitOptions, MemoryStore, Repository, codes};
use cloudron_core::{Cancel, Progress, Result, Secret};
use common::{Failing, Fixture, KEY};

const CONFIG: &str = "cloudron-backup.json";
const COPY: &str = "copies/cloudron-backup.json";

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
            // If only the key objects are left, their backup key completes the repository.
            if kept == ["keys/"] && key == KEY {
                continue;
            }
            let error = init(&store, key).await.unwrap_err();
            assert!(error.is(&codes::REPOSITORY_LOST), "{kept:?}: {error:?}");
            assert_eq!(error.hint().is_some(), kept != ["keys/"], "{error:?}");
            assert_eq!(error.detail("begun").is_some(), kept == ["keys/"], "{error:?}");
            assert_eq!(content(&store).await, before, "{kept:?}");
        }
        let error = Repository::open(store.clone()).await.unwrap_err();
        let missing = if kept == ["keys/"] { &codes::REPOSITORY_MISSING } else { &codes::REPOSITORY_LOST };
        assert!(error.is(missing), "{kept:?}: {error:?}");
    }
    // Another repository is not copied over it either.
    let other = Fixture::new().await;
    for kept in [&["keys/"][..], &folders] {
        let store: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
        for (key, object) in whole.iter().filter(|(key, _)| kept.iter().any(|folder| key.starts_with(folder)))
        {
            store.put(key, object).await.unwrap();
        }
        let before = content(&store).await;
        let copied = other.repo.copy_to(store.clone(), &Progress::none(), &Cancel::new()).await;
        assert!(copied.unwrap_err().is(&codes::REPOSITORY_LOST), "{kept:?}");
        assert_eq!(content(&store).await, before, "{kept:?}");
    }
    // With the second copy nothing is lost.
    let description = f.store.get(CONFIG).await.unwrap();
    f.store.delete(CONFIG).await.unwrap();
    assert!(init(&f.store, KEY).await.unwrap_err().is(&codes::REPOSITORY_EXISTS));
    f.store.delete(COPY).await.unwrap();
    let error = init(&f.store, KEY).await.unwrap_err();
    assert!(error.hint().unwrap().contains(&format!("put {CONFIG} back")), "{error:?}");
    // As the hint says.
    f.store.put(CONFIG, &description).await.unwrap();
    f.assert_restores(&made.id, "out").await;
}

#[tokio::test]
async fn an_init_that_is_cut_off_at_any_write_is_finished_with_its_key_and_with_no_other() {
    let mut refused = 0;
    for writes in 0.. {
        let store: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
        let cut: Arc<dyn BackupStore> = Failing::writes_after(&store, writes, &cloudron_core::codes::IO);
        if init(&cut, KEY).await.is_ok() {
            break;
        }
        let before = content(&store).await;
        match init(&store, "another backup key").await {
            // Nothing was stored, or nothing that is needed.
            Ok(_) => assert!(!before.keys().any(|key| key.starts_with("keys/")), "{writes}"),
            Err(e) => {
                assert!(e.is(&codes::REPOSITORY_LOST) || e.is(&codes::REPOSITORY_EXISTS), "{writes}: {e:?}");
                assert_eq!(content(&store).await, before, "{writes}");
                refused += 1;
                match init(&store, KEY).await {
                    Err(e) if e.is(&codes::REPOSITORY_EXISTS) => {}
                    other => drop(other.unwrap()),
                }
                let repository = Repository::open(store.clone()).await.unwrap();
                repository.unlock(&Secret::new(KEY)).await.unwrap();
                assert_eq!(repository.keys().await.unwrap().len(), 1, "{writes}");
            }
        }
    }
    assert!(refused > 3, "{refused}");
}

#[tokio::test]
async fn a_damaged_key_object_is_never_a_wrong_key() {
    let f = Fixture::new().await;
    let mut objects = f.keys_under("keys/").await;
    objects.retain(|key| key.ends_with(".age"));
    let [object] = &objects[..] else { panic!("{objects:?}") };
    let copy = format!("copies/{object}");
    let sound = f.store.get(object).await.unwrap();
    for at in 0..sound.len() {
        let mut damaged = sound.to_vec();
        damaged[at] ^= 1 << (at % 8);
        for place in [object, &copy] {
            f.store.put(place, &damaged.clone().into()).await.unwrap();
        }
        match f.repo.unlock(&Secret::new(KEY)).await {
            // A bit without meaning, such as padding.
            Ok(_) => {}
            Err(e) => {
                assert!(e.is(&codes::OBJECT_CORRUPT) && e.to_string().contains("damaged"), "{at}: {e:?}");
            }
        }
    }
    // The second copy opens it.
    f.store.put(&copy, &sound).await.unwrap();
    f.repo.unlock(&Secret::new(KEY)).await.unwrap();
    f.store.put(object, &sound).await.unwrap();
    let error = f.repo.unlock(&Secret::new("another backup key")).await.unwrap_err();
    assert!(error.is(&codes::BACKUP_KEY_WRONG), "{error:?}");
}
