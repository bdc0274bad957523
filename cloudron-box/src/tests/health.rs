//! The health checks compare the store with the keys and the index, and report a failed backup.

use std::path::PathBuf;

use cloudron_backup::{InitOptions, Repository, open_store};
use cloudron_core::Secret;

use super::machine::{Machine, back_up};
use crate::Include;
use crate::api::{Config, HealthCheck, JobState};

async fn config(machine: &Machine) -> Config {
    machine.admin().get("/api/v1/cloudron/config").await.json()
}

async fn check(machine: &Machine, name: &str) -> HealthCheck {
    let config = config(machine).await;
    assert_eq!(config.health.ok, config.health.checks.iter().all(|c| c.ok));
    config.health.checks.into_iter().find(|c| c.name == name).unwrap()
}

fn objects(machine: &Machine, folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![machine.path("store").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_gone_or_cut_is_no_good_health() {
    let machine = Machine::with_repository(Vec::new()).await;
    std::fs::write(machine.layout.data().join("note"), "remember").unwrap();
    assert_eq!(back_up(&machine.admin()).await.state, JobState::Done);
    let store = check(&machine, "store").await;
    assert!(store.ok, "{store:?}");
    let pack = objects(&machine, "packs").pop().unwrap();
    let content = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, &content[..content.len() - 1]).unwrap();
    let store = check(&machine, "store").await;
    assert!(!store.ok && store.message.contains("bytes instead of"), "{store:?}");
    std::fs::remove_file(&pack).unwrap();
    let store = check(&machine, "store").await;
    assert!(!store.ok && store.message.contains("is missing"), "{store:?}");
    std::fs::write(&pack, content).unwrap();
    assert!(check(&machine, "store").await.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_backup_must_be_there() {
    let machine = Machine::with_repository(Vec::new()).await;
    back_up(&machine.admin()).await;
    for summary in objects(&machine, "snapshots") {
        std::fs::remove_file(summary).unwrap();
    }
    let store = check(&machine, "store").await;
    assert!(!store.ok && store.message.contains("newest backup"), "{store:?}");
    back_up(&machine.admin()).await;
    assert!(check(&machine, "store").await.ok, "another backup is the way out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_other_keys_is_no_good_health() {
    let machine = Machine::with_repository(Vec::new()).await;
    std::fs::remove_dir_all(machine.path("store")).unwrap();
    let store = open_store(machine.path("store").to_str().unwrap()).unwrap();
    let options = InitOptions { work_factor: Some(2) };
    Repository::init(store, &Secret::new("another backup key"), options).await.unwrap();
    let store = check(&machine, "store").await;
    assert!(!store.ok && store.message.contains("keys"), "{store:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_failed_is_told_until_one_ends_well() {
    let machine = Machine::with_repository(vec![Include::new("photos")]).await;
    std::fs::remove_dir(machine.path("photos")).unwrap();
    assert_eq!(back_up(&machine.admin()).await.state, JobState::Failed);
    let failed = config(&machine).await.backup.last_failed.unwrap();
    assert_eq!(failed.code, "backup-incomplete");
    let backup = check(&machine, "backup").await;
    assert!(!backup.ok && backup.message.contains("photos"), "{backup:?}");
    std::fs::create_dir(machine.path("photos")).unwrap();
    assert_eq!(back_up(&machine.admin()).await.state, JobState::Done);
    assert_eq!(config(&machine).await.backup.last_failed, None);
    assert!(check(&machine, "backup").await.ok);
}
