//! Damage is found, and a repair saves what can be saved.

use cloudron_backup::{RepairRequest, VerifyDepth};
use cloudron_core::{Cancel, Progress};

use crate::common::{Fixture, noise};
use crate::steps::{repair, three, verify};

#[tokio::test]
async fn a_sample_of_all_packs_finds_what_a_full_check_finds() {
    let f = Fixture::new().await;
    three(&f).await;
    let verify = async |depth| {
        f.repo.verify(depth, Some(&f.identity), &Progress::none(), &Cancel::new()).await.unwrap()
    };
    let pack = f.keys_under("packs/").await.remove(0);
    let mut content = f.store.get(&pack).await.unwrap().to_vec();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    f.store.put(&pack, &content.into()).await.unwrap();
    assert!(verify(VerifyDepth::Quick).await.is_good());
    assert!(!verify(VerifyDepth::Sample(100)).await.is_good());
    assert!(verify(VerifyDepth::Sample(1)).await.bytes < verify(VerifyDepth::Full).await.bytes);
}

#[tokio::test]
async fn a_repair_makes_the_index_anew_from_the_packs() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let whole = repair(&f).await;
    assert_eq!((whole.packs, whole.packs_added, whole.whole), (3, 0, 3));
    assert_eq!(whole.index_objects, (3, 1), "the index is the owner's own from now on: {whole:?}");
    let again = repair(&f).await;
    assert_eq!(again.index_objects, (1, 1), "there was nothing to repair: {again:?}");
    f.write("changes", noise(300_000, 9));
    f.backup().await;
    let index = f.keys_under("index/").await;
    f.store.delete(&index[0]).await.unwrap();
    let content = f.store.get(&index[1]).await.unwrap();
    f.store.put(&index[1], &content.slice(..content.len() / 2)).await.unwrap();
    assert!(!verify(&f).await.is_good());
    let report = repair(&f).await;
    assert_eq!((report.packs_added, report.whole, report.damaged.len()), (4, 4, 0), "{report:?}");
    assert_eq!((report.index_unusable.len(), report.index_objects), (1, (1, 1)));
    assert!(verify(&f).await.is_good(), "{:?}", verify(&f).await.problems);
    assert_eq!(f.keys_under("locks/").await, Vec::<String>::new());
    assert!(f.restore(&made[2].id, "out").await.unwrap().is_complete());
}

#[tokio::test]
async fn a_repair_saves_what_a_damaged_pack_still_gives_and_the_next_backup_heals_the_rest() {
    let f = Fixture::new().await;
    for i in 0..4 {
        f.write(&format!("{i}"), noise(300_000, i));
    }
    let id = f.backup().await.id;
    let pack = f.keys_under("packs/").await.remove(0);
    let mut content = f.store.get(&pack).await.unwrap().to_vec();
    let at = content.len() * 3 / 4;
    content[at] ^= 1;
    f.store.put(&pack, &content.into()).await.unwrap();
    let report = repair(&f).await;
    assert_eq!(report.packs_damaged.len(), 1);
    assert!((1..4).contains(&report.chunks_saved), "{report:?}");
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    assert!(f.store.head(&pack).await.unwrap().is_some(), "nothing is deleted");
    let restored = f.restore(&id, "part").await.unwrap();
    assert!((1..4).contains(&restored.failed_count), "what was saved restores: {:?}", restored.failed);
    // The files still exist: once touched, they are read and stored again, since no index has their chunks.
    let next = f.backup().await;
    assert!(next.added_bytes > 200_000, "{}", next.added_bytes);
    assert!(f.restore(&id, "whole").await.unwrap().is_complete(), "the old backup is whole again");
    assert!(repair(&f).await.is_whole());
}

#[tokio::test]
async fn a_repair_without_writing_says_what_is_wrong() {
    let f = Fixture::new().await;
    three(&f).await;
    f.store.delete(&f.keys_under("index/").await[0]).await.unwrap();
    let before = f.keys_under("").await;
    let mut request = RepairRequest::default();
    request.dry_run = true;
    let report = f.repo.repair(&f.identity, &request, &Progress::none(), &Cancel::new()).await.unwrap();
    assert_eq!((report.packs_added, report.dry_run), (1, true));
    assert_eq!(f.keys_under("").await, before);
}
