//! Copying chosen backups into a repository with other keys.

mod common;

use cloudron_backup::repository::Origin;
use cloudron_backup::{Result, Summary, TransferReport, VerifyDepth, codes};
use cloudron_core::{BackupId, Cancel, Progress};
use common::{Fixture, noise};

async fn copy(from: &Fixture, to: &Fixture, ids: &[BackupId]) -> Result<TransferReport> {
    let (progress, cancel) = (Progress::none(), Cancel::new());
    from.repo.copy_snapshots(&from.identity, ids, (&to.repo, &to.keys), &progress, &cancel).await
}

/// Returns two repositories; the second one has other names for its backups.
async fn two() -> (Fixture, Fixture) {
    let (from, to) = (Fixture::new().await, Fixture::new().await);
    (0..100).for_each(|_| drop(to.next_id()));
    (from, to)
}

async fn tagged(f: &Fixture) -> Summary {
    let mut request = f.request();
    request.host = "alpha".into();
    request.tags = vec!["kept".into()];
    f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap()
}

#[tokio::test]
async fn copied_backups_restore_from_the_other_repository_with_its_key() {
    let (mut from, mut to) = two().await;
    cloudron_testkit::tree::generate(&from.source(), 5, 8 << 20).unwrap();
    from.write("media", noise(6 << 20, 1));
    let first = tagged(&from).await;
    from.write("media", noise(6 << 20, 2));
    let second = tagged(&from).await;
    to.write("own", "a backup of its own");
    let own = to.backup().await;

    let report = copy(&from, &to, &[first.id.clone(), second.id.clone()]).await.unwrap();
    assert_eq!(report.copied, [first.id.clone(), second.id.clone()]);
    assert!(report.is_complete() && report.present.is_empty());
    let stored: u64 = to.store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
    let there: u64 = from.store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
    assert!(stored < there + (100 << 10), "what both backups hold is stored once: {stored} {there}");
    for (n, made) in [&first, &second].into_iter().enumerate() {
        let copied = to.repo.find(made.id.as_str()).await.unwrap();
        let mut expected = made.clone();
        expected.repository = to.repo.id().to_owned();
        expected.sequence = own.sequence + 1 + n as u64;
        let (repository, sequence, writer) = (made.repository.clone(), made.sequence, made.writer);
        expected.origin = Some(Origin { repository, sequence, writer });
        expected.writer = own.writer;
        expected.manifest = copied.manifest.clone();
        expected.added_bytes = copied.added_bytes;
        assert_eq!(copied, expected);
    }
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let verified = to.repo.verify(VerifyDepth::Full, Some(&to.identity), &progress, &cancel).await.unwrap();
    assert_eq!(verified.problems, []);
    // Its source is now that of the other one.
    std::mem::swap(&mut to.dir, &mut from.dir);
    to.assert_restores(&second.id, "out").await;
}

#[tokio::test]
async fn what_is_there_is_not_copied_again() {
    let (from, to) = two().await;
    from.write("large", noise(3 << 20, 1));
    from.write("small", "text");
    to.write("large", noise(3 << 20, 1));
    let id = from.backup().await.id;
    to.backup().await;
    let report = copy(&from, &to, std::slice::from_ref(&id)).await.unwrap();
    assert!(report.added_bytes < 10_000, "the target's own backup has the content: {report:?}");
    let keys = to.keys_under("").await;
    let report = copy(&from, &to, std::slice::from_ref(&id)).await.unwrap();
    assert_eq!((report.present, report.copied.len(), report.added_bytes), (vec![id], 0, 0));
    assert_eq!(to.keys_under("").await, keys);
}

#[tokio::test]
async fn a_copy_that_was_cut_off_before_its_summary_can_be_made_again() {
    let (from, to) = two().await;
    from.write("a", "1");
    let id = from.backup().await.id;
    let _ = copy(&from, &to, std::slice::from_ref(&id)).await.unwrap();
    to.store.delete(&format!("snapshots/{id}.json")).await.unwrap();
    let report = copy(&from, &to, std::slice::from_ref(&id)).await.unwrap();
    assert_eq!(report.copied, std::slice::from_ref(&id));
    let restored = to.restore(&id, "out").await.unwrap();
    assert!(restored.is_complete() && restored.files == 1);
}

#[tokio::test]
async fn a_damaged_backup_is_not_copied_and_the_others_are() {
    let (from, to) = two().await;
    from.write("bad", noise(2 << 20, 1));
    let bad = from.backup().await.id;
    let pack = from.keys_under("packs/").await.remove(0);
    std::fs::remove_file(from.source().join("bad")).unwrap();
    from.write("good", noise(2 << 20, 2));
    let good = from.backup().await.id;
    from.store.delete(&pack).await.unwrap();
    let unknown = from.next_id();
    let report = copy(&from, &to, &[bad.clone(), good.clone(), unknown.clone()]).await.unwrap();
    assert_eq!(report.copied, std::slice::from_ref(&good));
    let failed: Vec<_> = report.failed.iter().map(|f| &f.backup).collect();
    assert_eq!(failed, [&bad, &unknown]);
    assert!(report.failed[0].reason.contains("packs/"), "{}", report.failed[0].reason);
    let listed = to.repo.snapshots().await.unwrap().summaries;
    assert_eq!(listed.iter().map(|s| &s.id).collect::<Vec<_>>(), [&good]);
    assert!(to.restore(&good, "out").await.unwrap().is_complete());
}

#[tokio::test]
async fn another_backup_of_the_same_name_is_kept() {
    let (from, to) = (Fixture::new().await, Fixture::new().await);
    from.write("a", "1");
    to.write("b", "other");
    let (ours, theirs) = (from.backup().await, to.backup().await);
    assert_eq!(ours.id, theirs.id);
    let report = copy(&from, &to, std::slice::from_ref(&ours.id)).await.unwrap();
    assert_eq!(report.failed[0].backup, ours.id);
    assert_eq!(to.repo.find(ours.id.as_str()).await.unwrap(), theirs);
}

#[tokio::test]
async fn the_keys_must_be_those_of_another_repository() {
    let (from, to) = two().await;
    from.write("a", "1");
    let id = from.backup().await.id;
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let ids = [id];
    let mixed = from.repo.copy_snapshots(&from.identity, &ids, (&to.repo, &from.keys), &progress, &cancel);
    assert!(mixed.await.unwrap_err().is(&codes::REPOSITORY_OTHER));
    assert!(copy(&from, &from, &ids).await.unwrap_err().is(&codes::REPOSITORY_EXISTS));
    let wrong = from.repo.copy_snapshots(&to.identity, &ids, (&to.repo, &to.keys), &progress, &cancel);
    assert!(wrong.await.unwrap_err().is(&codes::REPOSITORY_OTHER));
    assert!(to.keys_under("snapshots/").await.is_empty());
}
