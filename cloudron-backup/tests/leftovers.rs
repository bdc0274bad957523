//! The next run reuses the packs of an interrupted one, and concurrent runs do not disturb each other.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use cloudron_backup::{BackupStore, MemoryStore, Repository, VerifyDepth, codes};
use cloudron_core::{Cancel, Event, Progress};
use common::{Failing, Fixture, noise};

fn fill(f: &Fixture, packs: u8) {
    for i in 0..packs {
        f.write(&format!("{i:02}"), noise(17 << 20, i));
    }
}

async fn verify(f: &Fixture) {
    let report = f.repo.verify(VerifyDepth::Full, Some(&f.identity), &Progress::none(), &Cancel::new()).await;
    assert!(report.unwrap().is_good());
}

/// Returns the number of packs in the store.
async fn packs(f: &Fixture) -> usize {
    f.keys_under("packs/").await.len()
}

fn journals(f: &Fixture) -> Vec<std::path::PathBuf> {
    let dir = f.dir.path().join("cache").join(f.repo.id());
    let found = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    found.filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("journal-")).collect()
}

#[tokio::test]
async fn packs_of_a_run_that_was_cut_off_before_its_index_are_used_by_the_next_one() {
    // An undisturbed run, for comparison.
    let whole = Fixture::new().await;
    fill(&whole, 5);
    whole.backup().await;
    for writes in [3, 5] {
        let f = Fixture::new().await;
        fill(&f, 5);
        let cut = Failing::writes_after(&f.store, writes, &cloudron_core::codes::IO);
        f.try_backup(&Repository::open(cut).await.unwrap()).await.unwrap_err();
        let stored = packs(&f).await;
        assert!(stored > 0 && f.keys_under("index/").await.is_empty());
        assert_eq!(journals(&f).len(), 1);
        let second = f.backup().await;
        assert_eq!(journals(&f).len(), 0);
        // Nothing was stored twice: noise does not compress, so bytes can be counted.
        let size = |objects: Vec<cloudron_backup::ObjectMeta>| objects.iter().map(|o| o.size).sum::<u64>();
        let total = size(f.store.list("packs/").await.unwrap());
        assert!(total < (86 << 20), "{total} bytes for 85 MiB of content");
        f.assert_restores(&second.id, "out").await;
        verify(&f).await;
    }
}

#[tokio::test]
async fn a_journal_that_is_damaged_costs_space_only() {
    let f = Fixture::new().await;
    fill(&f, 2);
    let cut = Failing::writes_after(&f.store, 2, &cloudron_core::codes::IO);
    f.try_backup(&Repository::open(cut).await.unwrap()).await.unwrap_err();
    let journal = journals(&f).remove(0);
    let mut content = std::fs::read(&journal).unwrap();
    for at in (0..content.len()).step_by(50) {
        content[at] ^= 4;
    }
    std::fs::write(&journal, content).unwrap();
    let second = f.backup().await;
    assert!(!journal.exists());
    f.assert_restores(&second.id, "out").await;
    verify(&f).await;
}

#[tokio::test]
async fn a_pack_that_the_store_lost_is_not_taken_from_the_journal() {
    let f = Fixture::new().await;
    fill(&f, 2);
    let cut = Failing::writes_after(&f.store, 2, &cloudron_core::codes::IO);
    f.try_backup(&Repository::open(cut).await.unwrap()).await.unwrap_err();
    for key in f.keys_under("packs/").await {
        f.store.delete(&key).await.unwrap();
    }
    let second = f.backup().await;
    f.assert_restores(&second.id, "out").await;
    verify(&f).await;
}

#[tokio::test]
async fn an_upload_that_fails_among_several_makes_no_backup() {
    for writes in 1..6 {
        let f = Fixture::new().await;
        fill(&f, 6);
        let failing = Failing::writes_after(&f.store, writes, &cloudron_core::codes::NO_SPACE);
        let error = f.try_backup(&Repository::open(failing).await.unwrap()).await.unwrap_err();
        assert!(error.is(&cloudron_core::codes::NO_SPACE), "{error}");
        assert!(f.keys_under("snapshots/").await.is_empty());
        assert!(f.keys_under("index/").await.is_empty(), "an index never names what may not be there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_at_once_with_one_cache_do_not_disturb_each_other() {
    let f = Fixture::new().await;
    fill(&f, 3);
    for i in 0..200 {
        f.write(&format!("small/{i}"), noise(4000, i as u8));
    }
    for round in 0..3 {
        f.write("changing", noise(3 << 20, 100 + round));
        let (first, second) = tokio::join!(f.try_backup(&f.repo), f.try_backup(&f.repo));
        let (first, second) = (first.unwrap(), second.unwrap());
        f.assert_restores(&first.id, &format!("first{round}")).await;
        f.assert_restores(&second.id, &format!("second{round}")).await;
        assert!(journals(&f).is_empty());
    }
    verify(&f).await;
}

#[tokio::test]
async fn the_cache_forgets_index_objects_that_the_store_has_not() {
    let f = Fixture::new().await;
    f.write("a", noise(300_000, 1));
    f.backup().await;
    f.write("b", noise(300_000, 2));
    f.backup().await;
    let cached = || -> BTreeSet<String> {
        let dir = f.dir.path().join("cache").join(f.repo.id()).join("index");
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(cached().len(), 1);
    f.backup().await;
    assert_eq!(cached().len(), 2);
    let gone = f.keys_under("index/").await.remove(0);
    f.store.delete(&gone).await.unwrap();
    f.backup().await;
    assert!(!cached().iter().any(|name| gone.contains(name)), "{gone} in {:?}", cached());
}

#[tokio::test]
async fn a_run_that_is_stopped_leaves_packs_that_the_next_one_uses() {
    let store: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
    let f = Fixture::on(store).await;
    fill(&f, 4);
    let cancel = Cancel::new();
    let stopper = cancel.clone();
    let progress = Progress::to(move |event| {
        if matches!(event, Event::Advanced { done, .. } if *done > 40 << 20) {
            stopper.cancel();
        }
    });
    let error = f.repo.backup(&f.keys, f.request(), &progress, &cancel).await.unwrap_err();
    assert!(!error.is(&codes::BACKUP_EXISTS));
    let before = packs(&f).await;
    assert!(before >= 2);
    let second = f.backup().await;
    assert!(second.added_bytes < 45 << 20, "{}", second.added_bytes);
    f.assert_restores(&second.id, "out").await;
}
