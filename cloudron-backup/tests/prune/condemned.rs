//! The content of a condemned pack is read, copied and restored, and no new backup relies on it.

use std::sync::Arc;
use std::time::Duration;

use cloudron_backup::{BackupStore, MemoryStore, Repository, RestoreRequest, VerifyDepth, open_store};
use cloudron_core::{Cancel, Progress};
use cloudron_testkit::{require, tree};

use crate::common::{self, Fixture, noise};
use crate::steps::{DAY, keep_last, prune, three, verify};

#[tokio::test]
async fn a_backup_does_not_rely_on_condemned_packs() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let _ = prune(&f, &keep_last(1, DAY)).await;
    // The content of the first backup again, which is only in a condemned pack.
    f.write("changes", noise(300_000, 0));
    let again = f.backup().await;
    assert!(again.added_bytes > 300_000, "it is stored anew: {}", again.added_bytes);
    let _ = prune(&f, &keep_last(9, Duration::ZERO)).await;
    assert!(verify(&f).await.is_good());
    f.assert_restores(&again.id, "out").await;
    assert!(f.restore(&made[2].id, "old").await.unwrap().is_complete());
}

#[tokio::test]
async fn a_backup_does_not_rely_on_a_condemned_pack_that_an_index_still_names() {
    let f = Fixture::new().await;
    three(&f).await;
    let mut index = Vec::new();
    for key in f.keys_under("index/").await {
        index.push((key.clone(), f.store.get(&key).await.unwrap()));
    }
    let _ = prune(&f, &keep_last(1, DAY)).await;
    // The state after a prune was suspended between writing the record and deleting the index objects.
    for (key, content) in index {
        f.store.put(&key, &content).await.unwrap();
    }
    f.write("changes", noise(300_000, 0));
    let next = f.backup().await;
    assert!(next.added_bytes > 300_000, "it is stored anew: {}", next.added_bytes);
}

#[tokio::test]
async fn a_copy_takes_along_what_only_condemned_packs_hold() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let _ = prune(&f, &keep_last(1, DAY)).await;
    let target: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
    let _ = f.repo.copy_to(target.clone(), &Progress::none(), &Cancel::new()).await.unwrap();
    for prefix in ["condemned/", "forgotten/", "snapshots/", "index/", "packs/"] {
        let keys: Vec<String> = target.list(prefix).await.unwrap().into_iter().map(|o| o.key).collect();
        assert_eq!(keys, f.keys_under(prefix).await);
    }
    assert!(target.list("locks/").await.unwrap().is_empty());
    let copy = Repository::open(target).await.unwrap();
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let report = copy.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap();
    assert!(report.is_good(), "{:?}", report.problems);
    let request = RestoreRequest::under(f.target("copy"));
    let id = &made[2].id;
    assert!(copy.restore(&f.identity, id, &request, &progress, &cancel).await.unwrap().is_complete());
}

#[tokio::test]
async fn what_only_a_condemned_pack_holds_restores_with_recover_py_too() {
    let Some([python, _, _]) = require::tools(["python3", "age", "zstd"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path().join("store").to_str().unwrap()).unwrap();
    let f = Fixture::on(store).await;
    let made = three(&f).await;
    // The state after a prune did not see a backup that relies on a pack: its line is only in a record. Here
    // the prune saw none of the backups.
    let copy: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let _ = f.repo.copy_to(copy.clone(), &progress, &cancel).await.unwrap();
    let mut request = keep_last(1, DAY);
    request.remove = made.iter().map(|m| m.id.clone()).collect();
    let pruned = Repository::open(copy.clone()).await.unwrap();
    let _ = pruned.prune(&f.identity, &request, &progress, &cancel).await.unwrap();
    for object in copy.list("condemned/").await.unwrap() {
        f.store.put(&object.key, &copy.get(&object.key).await.unwrap()).await.unwrap();
    }
    for key in f.keys_under("index/").await {
        f.store.delete(&key).await.unwrap();
    }
    std::fs::write(
        dir.path().join("store/snapshots/backup_2030-01-01T00-00-00Z_v1.0.0.json"),
        r#"{"schema": 1, "id": "backup_2030-01-01T00-00-00Z_v1.0.0", "aborted": true}"#,
    )
    .unwrap();
    assert!(f.restore(&made[2].id, "ours").await.unwrap().is_complete());
    std::fs::write(dir.path().join("key"), common::KEY).unwrap();
    let output = std::process::Command::new(python)
        .arg(dir.path().join("store/recover.py"))
        .args([made[2].id.as_str().as_ref(), f.target("theirs").as_os_str()])
        .env("CLOUDRON_BACKUP_KEY_FILE", dir.path().join("key"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    tree::assert_same(&f.source(), &f.restored("theirs"));
}
