//! Removed and kept backups, and conditions that stop a prune.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use cloudron_backup::{BeforeAfter, PruneRequest, codes};
use sha2::{Digest, Sha256};

use crate::common::{Fixture, noise};
use crate::steps::{DAY, keep_last, prune, repair, three, try_prune, verify};

#[tokio::test]
async fn what_only_removed_backups_needed_is_condemned_and_deleted_after_the_grace() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let before: BTreeSet<String> = f.keys_under("packs/").await.into_iter().collect();
    let report = prune(&f, &keep_last(1, DAY)).await;
    assert_eq!(report.removed, [made[0].id.clone(), made[1].id.clone()]);
    assert_eq!((report.packs_deleted, report.bytes_freed), (0, 0));
    assert!(report.bytes_freed_later > 500_000, "{report:?}");
    assert!(before.is_subset(&f.keys_under("packs/").await.into_iter().collect()), "nothing is deleted yet");
    // One for the packs that nothing needs, one for those that were rewritten.
    assert_eq!(f.keys_under("condemned/").await.len(), 2);
    assert!(verify(&f).await.is_good(), "{:?}", verify(&f).await.problems);

    let again = prune(&f, &keep_last(1, DAY)).await;
    assert_eq!((again.removed.len(), again.packs_condemned, again.bytes_written), (0, 0, 0), "{again:?}");
    assert_eq!(again.bytes_freed_later, report.bytes_freed_later);

    let swept = prune(&f, &keep_last(1, Duration::ZERO)).await;
    assert!(swept.packs_deleted >= 2 && swept.bytes_freed == report.bytes_freed_later, "{swept:?}");
    assert_eq!(swept.bytes_freed_later, 0);
    assert_eq!(f.keys_under("condemned/").await, Vec::<String>::new());
    assert_eq!(f.keys_under("locks/").await, Vec::<String>::new());
    assert_eq!(f.repo.snapshots().await.unwrap().summaries.len(), 1);
    assert!(verify(&f).await.is_good());
    f.assert_restores(&made[2].id, "out").await;
    let size: u64 = f.store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
    assert!(size < 550_000, "{size} bytes are left of 500000");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let before = f.keys_under("").await;
    let mut request = keep_last(1, DAY);
    request.dry_run = true;
    let report = prune(&f, &request).await;
    assert_eq!(report.removed, [made[0].id.clone(), made[1].id.clone()]);
    assert_eq!(report.kept.len(), 1);
    assert!(report.dry_run && report.bytes_freed_later > 500_000, "{report:?}");
    assert_eq!(f.keys_under("").await, before);
    request.dry_run = false;
    let done = prune(&f, &request).await;
    assert_eq!((done.packs_condemned, done.packs_repacked), (report.packs_condemned, report.packs_repacked));
    assert_eq!((done.bytes_freed, done.bytes_freed_later), (report.bytes_freed, report.bytes_freed_later));
}

#[tokio::test]
async fn a_dry_run_without_a_grace_says_what_is_deleted_now() {
    for waits in [false, true] {
        let f = Fixture::new().await;
        three(&f).await;
        if waits {
            // Some packs are condemned already.
            let _ = prune(&f, &keep_last(2, DAY)).await;
        }
        let mut request = keep_last(1, Duration::ZERO);
        request.dry_run = true;
        let report = prune(&f, &request).await;
        request.dry_run = false;
        let done = prune(&f, &request).await;
        assert!(report.bytes_freed > 500_000 && report.bytes_freed_later == 0, "{report:?}");
        assert_eq!(
            (done.bytes_freed, done.bytes_freed_later),
            (report.bytes_freed, report.bytes_freed_later)
        );
        assert_eq!(done.packs_deleted, report.packs_deleted);
    }
}

#[tokio::test]
async fn named_backups_go_even_the_newest_and_unknown_ones_are_refused() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let mut request = PruneRequest::default();
    request.remove = vec![f.next_id()];
    assert!(try_prune(&f, &request).await.unwrap_err().is(&codes::BACKUP_UNKNOWN));
    request.remove = vec![made[2].id.clone()];
    let report = prune(&f, &request).await;
    assert_eq!((report.removed, report.kept.len()), (vec![made[2].id.clone()], 2));
    assert!(verify(&f).await.is_good());
    // Its number is not used again.
    assert_eq!(f.backup().await.sequence, 4);
    assert!(verify(&f).await.is_good());
}

#[tokio::test]
async fn a_backup_that_cannot_be_read_stops_the_prune_before_anything_is_deleted() {
    for (summary, damaged) in [(true, 1), (false, 2)] {
        let f = Fixture::new().await;
        let made = three(&f).await;
        let of_summary = format!("snapshots/{}.json", made[damaged].id);
        let key = if summary { of_summary } else { Fixture::manifest_of(&made[damaged]) };
        let content = f.store.get(&key).await.unwrap();
        f.store.put(&key, &content.slice(..content.len() / 2)).await.unwrap();
        let before = f.keys_under("").await;
        let report = prune(&f, &keep_last(1, Duration::ZERO)).await;
        assert!(!report.is_whole(), "{report:?}");
        assert!(!summary || report.ignored.iter().any(|i| i.subject == key), "{report:?}");
        assert_eq!(f.keys_under("").await, before);
        // It is removed when it is named.
        let mut request = keep_last(1, Duration::ZERO);
        request.remove = vec![made[damaged].id.clone()];
        let _ = prune(&f, &request).await;
        assert_eq!(f.repo.snapshots().await.unwrap().summaries.len(), 1);
        assert!(verify(&f).await.is_good(), "{:?}", verify(&f).await.problems);
    }
}

#[tokio::test]
async fn what_dead_runs_left_behind_goes() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let pack = f.store.get(&f.keys_under("packs/").await[0]).await.unwrap();
    let orphan = Bytes::from([&pack[..], b"x"].concat());
    let id = hex::encode(Sha256::digest(&orphan));
    f.store.put(&format!("packs/{}/{id}.age", &id[..2]), &orphan).await.unwrap();
    // The manifest of a run without a summary.
    let lost = f.backup().await;
    f.store.delete(&format!("snapshots/{}.json", lost.id)).await.unwrap();
    let manifest = Fixture::manifest_of(&lost);
    let young = prune(&f, &keep_last(9, DAY)).await;
    assert_eq!(young.orphans, 0, "what is young stays");
    let report = prune(&f, &keep_last(9, Duration::ZERO)).await;
    assert_eq!((report.orphans, report.packs_deleted), (2, 1), "{report:?}");
    assert!(f.store.head(&manifest).await.unwrap().is_none());
    assert!(f.repo.find(lost.id.as_str()).await.unwrap_err().is(&codes::BACKUP_UNKNOWN));
    assert_eq!(f.repo.snapshots().await.unwrap().summaries.len(), made.len());
    assert!(verify(&f).await.is_good(), "{:?}", verify(&f).await.problems);
}

#[tokio::test]
async fn many_small_packs_and_index_objects_become_few() {
    let f = Fixture::new().await;
    for i in 0..20u8 {
        f.write(&format!("{i}"), noise(5000, i));
        f.backup().await;
    }
    assert_eq!((f.keys_under("packs/").await.len(), f.keys_under("index/").await.len()), (20, 20));
    let report = prune(&f, &keep_last(99, Duration::ZERO)).await;
    assert_eq!(report.index_objects, BeforeAfter { before: 20, after: 1 });
    assert_eq!((f.keys_under("packs/").await.len(), f.keys_under("index/").await.len()), (1, 1));
    assert!(verify(&f).await.is_good());
    for summary in f.repo.snapshots().await.unwrap().summaries {
        assert!(f.restore(&summary.id, summary.id.as_str()).await.unwrap().is_complete());
    }
}

#[tokio::test]
async fn while_a_chunk_is_missing_nothing_is_deleted_and_the_report_says_so() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    // The pack of the first backup is the largest, and the newest one needs it too.
    let packs = f.store.list("packs/").await.unwrap();
    let lost = packs.into_iter().max_by_key(|pack| pack.size).unwrap().key;
    f.store.delete(&lost).await.unwrap();
    let before = f.keys_under("").await;
    let report = prune(&f, &keep_last(1, Duration::ZERO)).await;
    assert!(!report.damaged.is_empty() && report.damaged.len() <= made.len(), "{report:?}");
    assert!(!report.is_whole());
    assert_eq!(f.keys_under("").await, before);
    // The index still lists the missing pack, so that errors name it.
    assert!(verify(&f).await.problems.iter().any(|p| p.object == lost));
    assert!(!repair(&f).await.is_whole());
    assert!(verify(&f).await.problems.iter().any(|p| p.object == lost));
}
