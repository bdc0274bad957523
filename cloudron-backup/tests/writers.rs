//! Writers: each has its own keys and limits, and can be revoked.

mod common;

use bytes::Bytes;
use cloudron_backup::{KeepOfRevoked, PruneRequest, VerifyDepth, WriterKeys, WriterLimits, codes};
use cloudron_core::{Cancel, Progress};

use crate::common::{Fixture, noise};

async fn backup_by(f: &Fixture, keys: &WriterKeys) -> cloudron_core::Result<cloudron_backup::Summary> {
    let mut request = f.request();
    request.fqdn = "example.com".into();
    request.cache_dir = None;
    f.repo.backup(keys, request, &Progress::none(), &Cancel::new()).await
}

#[tokio::test]
async fn each_writer_counts_its_own_backups_and_relies_on_its_own_packs() {
    let f = Fixture::new().await;
    f.write("file", noise(300_000, 1));
    let main = f.backup().await;
    let keys = f.repo.add_writer(&f.identity, "second", &WriterLimits::default()).await.unwrap();
    let second = backup_by(&f, &keys).await.unwrap();
    assert_eq!((main.sequence, second.sequence), (1, 1));
    assert_ne!(main.writer, second.writer);
    assert!(second.added_bytes > 300_000, "it does not believe what another writer says is there");
    let again = backup_by(&f, &keys).await.unwrap();
    assert_eq!(again.sequence, 2);
    assert!(again.added_bytes < 10_000, "it believes itself: {}", again.added_bytes);

    // The owner reads both copies of the content once, and keeps one.
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let mut request = PruneRequest::default();
    request.grace = std::time::Duration::ZERO;
    let report = f.repo.prune(&f.identity, &request, &progress, &cancel).await.unwrap();
    assert!(report.is_whole() && report.packs_verified > 0 && report.packs_deleted > 0, "{report:?}");
    let report = f.repo.prune(&f.identity, &request, &progress, &cancel).await.unwrap();
    assert_eq!(report.packs_verified, 0, "the owner's index remembers");
    for (n, made) in [main, second, again].iter().enumerate() {
        f.assert_restores(&made.id, &format!("out{n}")).await;
    }
    // From now on every writer relies on the owner's index.
    let keys = f.repo.add_writer(&f.identity, "third", &WriterLimits::default()).await.unwrap();
    assert!(backup_by(&f, &keys).await.unwrap().added_bytes < 10_000);
}

#[tokio::test]
async fn a_writer_makes_no_backup_outside_its_certificate() {
    let f = Fixture::new().await;
    f.write("file", "content");
    let keys = f.repo.add_writer(&f.identity, "other", &WriterLimits::of_domain("other.com")).await.unwrap();
    assert!(backup_by(&f, &keys).await.unwrap_err().is(&codes::SOURCE_INVALID));
    let mut limits = WriterLimits::of_domain("example.com");
    limits.paths = Some(vec!["/nowhere".into()]);
    let keys = f.repo.add_writer(&f.identity, "nowhere", &limits).await.unwrap();
    assert!(backup_by(&f, &keys).await.unwrap_err().is(&codes::SOURCE_INVALID));
    limits.paths = Some(vec![f.source().display().to_string()]);
    let keys = f.repo.add_writer(&f.identity, "here", &limits).await.unwrap();
    backup_by(&f, &keys).await.unwrap();
    let names: Vec<String> = f.repo.writers().await.unwrap().into_iter().map(|w| w.name).collect();
    assert_eq!(names, ["here", "main", "nowhere", "other"]);
    assert!(f.repo.add_writer(&f.identity, "no name", &limits).await.unwrap_err().is(&codes::WRITER_NAME));
}

#[tokio::test]
async fn a_revoked_writer_keeps_the_backups_that_are_meant_and_makes_no_more() {
    let f = Fixture::new().await;
    f.write("file", noise(300_000, 1));
    let honest = f.backup().await;
    let keys = f.repo.add_writer(&f.identity, "stolen", &WriterLimits::default()).await.unwrap();
    let (first, second) = (backup_by(&f, &keys).await.unwrap(), backup_by(&f, &keys).await.unwrap());
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let keep = KeepOfRevoked::These([first.id.clone()].into());
    let report = f.repo.revoke_writer(&f.identity, "stolen", keep, &progress, &cancel).await.unwrap();
    assert_eq!((report.kept, report.dropped), (vec![first.id.to_string()], vec![second.id.to_string()]));
    assert!(backup_by(&f, &keys).await.unwrap_err().is(&codes::WRITER_REVOKED));
    let list = f.repo.snapshots().await.unwrap();
    assert_eq!(list.summaries.iter().map(|s| &s.id).collect::<Vec<_>>(), [&honest.id, &first.id]);
    assert_eq!(list.unreadable.len(), 1);
    assert!(f.restore(&second.id, "dropped").await.unwrap_err().is(&codes::SNAPSHOT_FORGED));
    // A prune works, and removes nothing that the others need.
    let mut request = PruneRequest::default();
    request.grace = std::time::Duration::ZERO;
    for _ in 0..2 {
        assert!(f.repo.prune(&f.identity, &request, &progress, &cancel).await.unwrap().is_whole());
    }
    f.assert_restores(&honest.id, "honest").await;
    f.assert_restores(&first.id, "first").await;
    let unknown = f.repo.revoke_writer(&f.identity, "nobody", KeepOfRevoked::All, &progress, &cancel).await;
    assert!(unknown.unwrap_err().is(&codes::WRITER_UNKNOWN));
    let same = f.repo.add_writer(&f.identity, "stolen", &WriterLimits::default()).await;
    assert!(same.unwrap_err().is(&codes::WRITER_REVOKED));
}

#[tokio::test]
async fn a_removed_backup_that_somebody_puts_back_counts_for_nothing() {
    let f = Fixture::new().await;
    f.write("file", noise(300_000, 1));
    let first = f.backup().await;
    let (key, manifest) = (format!("snapshots/{}.json", first.id), Fixture::manifest_of(&first));
    let kept = [
        (key.clone(), f.store.get(&key).await.unwrap()),
        (manifest.clone(), f.store.get(&manifest).await.unwrap()),
    ];
    f.write("file", noise(300_000, 2));
    let second = f.backup().await;
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let mut request = PruneRequest::default();
    request.grace = std::time::Duration::ZERO;
    request.remove = vec![first.id.clone()];
    let _ = f.repo.prune(&f.identity, &request, &progress, &cancel).await.unwrap();
    for (key, content) in &kept {
        f.store.put(key, content).await.unwrap();
    }
    assert_eq!(f.repo.find("latest").await.unwrap().id, second.id);
    assert_eq!(f.repo.snapshots().await.unwrap().summaries.len(), 1);
    // It would lack content. That does not stop the prune, which removes it again.
    request.remove.clear();
    assert!(f.repo.prune(&f.identity, &request, &progress, &cancel).await.unwrap().is_whole());
    assert!(f.store.head(&key).await.unwrap().is_none());
    f.assert_restores(&second.id, "out").await;
}

#[tokio::test]
async fn what_stands_in_the_place_of_a_backup_stops_neither_it_nor_its_fence() {
    let f = Fixture::new().await;
    f.write("file", "content");
    let squatted = f.next_id();
    let request = |id: &cloudron_core::BackupId| {
        let mut request = f.request();
        request.id = id.clone();
        request
    };
    for place in [format!("snapshots/{squatted}.json"), format!("snapshots/{squatted}+1.json")] {
        f.store.put(&place, &Bytes::from_static(b"{}")).await.unwrap();
    }
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let made = f.repo.backup(&f.keys, request(&squatted), &progress, &cancel).await.unwrap();
    assert_eq!(made.id.to_string(), format!("{squatted}+2"));
    f.assert_restores(&made.id, "out").await;
    let again = f.repo.backup(&f.keys, request(&squatted), &progress, &cancel).await.unwrap_err();
    assert!(again.is(&codes::BACKUP_EXISTS), "{again}");
    let report = f.repo.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap();
    assert_eq!(report.good, [made.id.to_string()]);
}
