//! Removing backups, and what becomes of what they held.

mod common;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{
    BackupStore, ObjectMeta, PrunePolicy, PruneReport, PruneRequest, RepairReport, RepairRequest, Repository,
    Summary, VerifyDepth, VerifyReport, codes,
};
use cloudron_core::{Cancel, Progress, Result};
use common::{Fixture, noise};

fn keep_last(n: u32, grace: Duration) -> PruneRequest {
    let mut request = PruneRequest::new(PrunePolicy { last: Some(n), ..PrunePolicy::default() });
    request.grace = grace;
    request
}

async fn try_prune(f: &Fixture, request: &PruneRequest) -> Result<PruneReport> {
    f.repo.prune(&f.identity, request, &Progress::none(), &Cancel::new()).await
}

async fn prune(f: &Fixture, request: &PruneRequest) -> PruneReport {
    try_prune(f, request).await.unwrap()
}

async fn verify(f: &Fixture) -> VerifyReport {
    f.repo.verify(VerifyDepth::Full, Some(&f.identity), &Progress::none(), &Cancel::new()).await.unwrap()
}

async fn repair(f: &Fixture) -> RepairReport {
    let request = RepairRequest::default();
    f.repo.repair(&f.identity, &request, &Progress::none(), &Cancel::new()).await.unwrap()
}

const DAY: Duration = Duration::from_secs(86400);

/// Three backups: one file stays, one changes each time.
async fn three(f: &Fixture) -> Vec<Summary> {
    let mut made = Vec::new();
    for i in 0..3 {
        f.write("stays", noise(200_000, 200));
        f.write("changes", noise(300_000, i));
        made.push(f.backup().await);
    }
    made
}

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
    assert_eq!(f.keys_under("condemned/").await.len(), 1);
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
async fn a_backup_does_not_rely_on_condemned_packs() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let _ = prune(&f, &keep_last(1, DAY)).await;
    // The content of the first backup again, which is in a condemned pack only.
    f.write("changes", noise(300_000, 0));
    let again = f.backup().await;
    assert!(again.added_bytes > 300_000, "it is stored anew: {}", again.added_bytes);
    let _ = prune(&f, &keep_last(9, Duration::ZERO)).await;
    assert!(verify(&f).await.is_good());
    f.assert_restores(&again.id, "out").await;
    assert!(f.restore(&made[2].id, "old").await.unwrap().is_complete());
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
async fn a_removed_backup_is_told_from_one_that_was_taken_away() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let _ = prune(&f, &keep_last(2, DAY)).await;
    assert!(verify(&f).await.is_good(), "the owner removed it");
    f.store.delete(&format!("snapshots/{}.json", made[1].id)).await.unwrap();
    f.store.delete(&format!("snapshots/{}.age", made[1].id)).await.unwrap();
    let report = verify(&f).await;
    assert!(report.problems.iter().any(|p| p.text.contains("numbers 2")), "{:?}", report.problems);
}

#[tokio::test]
async fn a_writer_cannot_make_a_removal_look_like_the_owners() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let _ = prune(&f, &keep_last(2, DAY)).await;
    let key = f.keys_under("forgotten/").await.remove(0);
    let text = String::from_utf8(f.store.get(&key).await.unwrap().to_vec()).unwrap();
    let forged = text.replacen('1', "2", text.matches('1').count());
    f.store.put("forgotten/forged.json", &forged.into()).await.unwrap();
    f.store.delete(&format!("snapshots/{}.json", made[1].id)).await.unwrap();
    let report = verify(&f).await;
    assert!(report.problems.iter().any(|p| p.object == "forgotten/forged.json"), "{:?}", report.problems);
    assert!(report.problems.iter().any(|p| p.text.contains("numbers 2")), "{:?}", report.problems);
}

#[tokio::test]
async fn a_backup_that_cannot_be_read_stops_the_prune_before_anything_is_deleted() {
    for what in ["json", "age"] {
        let f = Fixture::new().await;
        let made = three(&f).await;
        let key = format!("snapshots/{}.{what}", made[2].id);
        let content = f.store.get(&key).await.unwrap();
        f.store.put(&key, &content.slice(..content.len() / 2)).await.unwrap();
        let before = f.keys_under("").await;
        let error = try_prune(&f, &keep_last(1, Duration::ZERO)).await.unwrap_err();
        assert!(error.is(&codes::PRUNE_UNSAFE) && error.to_string().contains(&key), "{error}");
        assert_eq!(f.keys_under("").await, before);
        // It goes when it is named.
        let mut request = keep_last(1, Duration::ZERO);
        request.remove = vec![made[2].id.clone()];
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
    use sha2::Digest;
    let id = hex::encode(sha2::Sha256::digest(&orphan));
    f.store.put(&format!("packs/{}/{id}.age", &id[..2]), &orphan).await.unwrap();
    let lost = f.next_id();
    f.store.put(&format!("snapshots/{lost}.age"), &pack).await.unwrap();
    let young = prune(&f, &keep_last(9, DAY)).await;
    assert_eq!(young.orphans, 0, "what is young stays");
    let report = prune(&f, &keep_last(9, Duration::ZERO)).await;
    assert_eq!((report.orphans, report.packs_deleted), (2, 1), "{report:?}");
    assert!(f.store.head(&format!("snapshots/{lost}.age")).await.unwrap().is_none());
    assert!(f.repo.find(lost.as_str()).await.unwrap_err().is(&codes::BACKUP_UNKNOWN));
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
    assert_eq!(report.index_objects, (20, 1));
    assert_eq!((f.keys_under("packs/").await.len(), f.keys_under("index/").await.len()), (1, 1));
    assert!(verify(&f).await.is_good());
    for summary in f.repo.snapshots().await.unwrap().summaries {
        assert!(f.restore(&summary.id, summary.id.as_str()).await.unwrap().is_complete());
    }
}

#[tokio::test]
async fn an_older_list_than_was_seen_is_noticed_by_backup_and_verify() {
    use cloudron_core::Event;
    let f = Fixture::new().await;
    let made = three(&f).await;
    let repo = f.repo.clone().with_cache_dir(f.dir.path().join("laptop"));
    let verify = async || {
        repo.verify(VerifyDepth::Quick, Some(&f.identity), &Progress::none(), &Cancel::new()).await.unwrap()
    };
    assert!(verify().await.is_good());
    // The newest alone leaves no trace in the store.
    for key in f.keys_under(&format!("snapshots/{}", made[2].id)).await {
        f.store.delete(&key).await.unwrap();
    }
    let report = verify().await;
    assert_eq!(report.rolled_back, [made[2].id.to_string()]);
    assert!(report.good().unwrap_err().is(&codes::REPOSITORY_ROLLED_BACK));
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = said.clone();
    let progress = Progress::to(move |e| {
        if let Event::Warning { text } = e {
            sink.lock().unwrap().push(text.clone());
        }
    });
    let next = f.repo.backup(&f.keys, f.request(), &progress, &Cancel::new()).await.unwrap();
    assert_eq!(next.sequence, 4, "the number of the one that is gone is not used again");
    assert!(said.lock().unwrap().iter().any(|t| t.contains(made[2].id.as_str())), "{said:?}");
}

#[tokio::test]
async fn what_the_owner_removed_is_no_rollback() {
    let f = Fixture::new().await;
    three(&f).await;
    let repo = f.repo.clone().with_cache_dir(f.dir.path().join("laptop"));
    for _ in 0..2 {
        let (depth, progress) = (VerifyDepth::Quick, Progress::none());
        let report = repo.verify(depth, Some(&f.identity), &progress, &Cancel::new()).await.unwrap();
        assert!(report.is_good(), "{:?}", report.problems);
        let _ = prune(&f, &keep_last(1, DAY)).await;
    }
}

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
    assert_eq!(whole.index_objects, (3, 3), "there was nothing to repair: {whole:?}");
    let index = f.keys_under("index/").await;
    f.store.delete(&index[0]).await.unwrap();
    let content = f.store.get(&index[1]).await.unwrap();
    f.store.put(&index[1], &content.slice(..content.len() / 2)).await.unwrap();
    assert!(!verify(&f).await.is_good());
    let report = repair(&f).await;
    assert_eq!((report.packs_added, report.whole, report.damaged.len()), (2, 3, 0), "{report:?}");
    assert_eq!((report.index_unusable.len(), report.index_objects), (1, (2, 1)));
    assert!(verify(&f).await.is_good(), "{:?}", verify(&f).await.problems);
    assert_eq!(f.keys_under("locks/").await, Vec::<String>::new());
    f.assert_restores(&made[2].id, "out").await;
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
    // The files are still there: touched, they are read, and stored as their chunks are in no index any more.
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

#[tokio::test]
async fn a_chunk_that_is_lost_is_reported_and_does_not_stop_the_prune() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let lost = f.keys_under("packs/").await.remove(0);
    f.store.delete(&lost).await.unwrap();
    let report = prune(&f, &keep_last(9, Duration::ZERO)).await;
    assert!(!report.damaged.is_empty() && report.damaged.len() <= made.len(), "{report:?}");
    // The index still says what is lost, so that errors name it.
    assert!(verify(&f).await.problems.iter().any(|p| p.object == lost));
    assert!(!repair(&f).await.is_whole());
    assert!(verify(&f).await.problems.iter().any(|p| p.object == lost));
}

#[tokio::test]
async fn a_copy_takes_along_what_only_condemned_packs_hold() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let _ = prune(&f, &keep_last(1, DAY)).await;
    let target: std::sync::Arc<dyn cloudron_backup::BackupStore> =
        std::sync::Arc::new(cloudron_backup::MemoryStore::new());
    let _ = f.repo.copy_to(target.clone(), &Progress::none(), &Cancel::new()).await.unwrap();
    for prefix in ["condemned/", "forgotten/", "snapshots/", "index/", "packs/"] {
        let keys: Vec<String> = target.list(prefix).await.unwrap().into_iter().map(|o| o.key).collect();
        assert_eq!(keys, f.keys_under(prefix).await);
    }
    assert!(target.list("locks/").await.unwrap().is_empty());
    let copy = cloudron_backup::Repository::open(target).await.unwrap();
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let report = copy.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap();
    assert!(report.is_good(), "{:?}", report.problems);
    let request = cloudron_backup::RestoreRequest::under(f.target("copy"));
    let id = &made[2].id;
    assert!(copy.restore(&f.identity, id, &request, &progress, &cancel).await.unwrap().is_complete());
}

#[tokio::test]
async fn what_only_a_condemned_pack_holds_restores_with_recover_py_too() {
    use cloudron_testkit::require;
    let Some([python, _, _]) = require::tools(["python3", "age", "zstd"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = cloudron_backup::open_store(dir.path().join("store").to_str().unwrap()).unwrap();
    let f = Fixture::on(store).await;
    let made = three(&f).await;
    // What a prune leaves when a backup that it did not see relies on a pack: its line is in a record only.
    let (index, condemned) = (dir.path().join("store/index"), dir.path().join("store/condemned"));
    std::fs::rename(&index, &condemned).unwrap();
    std::fs::create_dir(&index).unwrap();
    std::fs::write(
        dir.path().join("store/snapshots/backup_2030-01-01T00-00-00Z_v1.0.0.json"),
        r#"{"schema": 1, "id": "backup_2030-01-01T00-00-00Z_v1.0.0", "aborted": true}"#,
    )
    .unwrap();
    assert!(f.restore(&made[2].id, "ours").await.unwrap().is_complete());
    std::fs::write(dir.path().join("key"), common::KEY).unwrap();
    let output = std::process::Command::new(python)
        .arg(dir.path().join("store/recover.py"))
        .args(["latest".as_ref(), f.target("theirs").as_os_str()])
        .env("CLOUDRON_BACKUP_KEY_FILE", dir.path().join("key"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    cloudron_testkit::tree::assert_same(&f.source(), &f.restored("theirs"));
}

#[tokio::test]
async fn a_backup_does_not_rely_on_a_condemned_pack_that_an_index_still_names() {
    let f = Fixture::new().await;
    f.write("file", noise(300_000, 1));
    f.backup().await;
    // As a prune leaves it that fell asleep between writing the record and taking away the index object.
    let index = f.keys_under("index/").await.remove(0);
    let content = f.store.get(&index).await.unwrap();
    f.store.put(&index.replace("index/", "condemned/"), &content).await.unwrap();
    let next = f.backup().await;
    assert!(next.added_bytes > 300_000, "it is stored anew: {}", next.added_bytes);
}

/// Notes what is asked of a store.
#[derive(Debug)]
struct Recording {
    inner: Arc<dyn BackupStore>,
    calls: Mutex<Vec<String>>,
}

impl Recording {
    fn note(&self, call: &str, key: &str) {
        self.calls.lock().unwrap().push(format!("{call} {}", key.split_inclusive('/').next().unwrap_or(key)));
    }

    fn position(&self, call: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().position(|c| c == call).unwrap_or_else(|| panic!("no {call} in {calls:?}"))
    }
}

#[async_trait]
impl BackupStore for Recording {
    fn url(&self) -> String {
        "recording:".into()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.note("put", key);
        self.inner.put(key, content).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.note("put-new", key);
        self.inner.put_new(key, content).await
    }
    async fn get(&self, key: &str) -> Result<Bytes> {
        self.inner.get(key).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.inner.get_range(key, range).await
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.inner.head(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.note("list", prefix);
        self.inner.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.note("delete", key);
        self.inner.delete(key).await
    }
}

/// The order in which `docs/prune.md` proves that nothing is lost. Most orders of calls that break it lose
/// something only if somebody sleeps at the worst moment, so it is tested as it is.
#[tokio::test]
async fn locks_records_packs_and_summaries_are_looked_at_in_the_order_that_keeps_backups_safe() {
    let f = Fixture::new().await;
    three(&f).await;
    let recording = || Arc::new(Recording { inner: f.store.clone(), calls: Mutex::default() });
    let store = recording();
    let repo = Repository::open(store.clone()).await.unwrap();
    f.try_backup(&repo).await.unwrap();
    let at = |call| store.position(call);
    assert!(at("put-new locks/") < at("list condemned/"));
    assert!(at("list condemned/") < at("list packs/"));
    assert!(at("put-new snapshots/") < at("delete locks/"));

    let _ = prune(&f, &keep_last(1, DAY)).await;
    let store = recording();
    let repo = Repository::open(store.clone()).await.unwrap();
    let _ = repo
        .prune(&f.identity, &keep_last(9, Duration::ZERO), &Progress::none(), &Cancel::new())
        .await
        .unwrap();
    let calls = store.calls.lock().unwrap().clone();
    let sweep = calls.iter().rposition(|c| c == "list condemned/").unwrap();
    let in_sweep: Vec<&str> =
        calls[sweep..].iter().map(String::as_str).filter(|c| !c.starts_with("put ")).collect();
    let order =
        ["list condemned/", "list locks/", "list snapshots/", "list packs/", "list index/", "delete packs/"];
    assert_eq!(in_sweep[..order.len()], order);
    let position = |call: &str| in_sweep.iter().rposition(|c| *c == call).unwrap();
    assert!(position("delete packs/") < position("delete condemned/"));
}

async fn copy_of(store: &Arc<dyn BackupStore>) -> Arc<dyn BackupStore> {
    let copy = cloudron_backup::MemoryStore::new();
    for object in store.list("").await.unwrap() {
        copy.put(&object.key, &store.get(&object.key).await.unwrap()).await.unwrap();
    }
    Arc::new(copy)
}

#[tokio::test]
async fn a_prune_cut_off_at_any_call_loses_nothing_and_the_next_one_finishes_it() {
    let f = Fixture::new().await;
    three(&f).await;
    let (request, progress, cancel) = (keep_last(1, Duration::ZERO), Progress::none(), Cancel::new());
    let mut calls = 0;
    loop {
        let store = copy_of(&f.store).await;
        // One call more opens the repository.
        let failing = common::Failing::after(&store, calls + 1, &cloudron_core::codes::IO);
        let broken = Repository::open(failing).await.unwrap();
        let cut_off = broken.prune(&f.identity, &request, &progress, &cancel).await.is_err();
        let repo = Repository::open(store.clone()).await.unwrap();
        let verify = async || {
            let report = repo.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap();
            assert!(report.is_good(), "cut off at call {calls}: {:?}", report.problems);
        };
        verify().await;
        if !cut_off {
            break;
        }
        // The lock of the one that died counts for half an hour.
        for lock in store.list("locks/").await.unwrap() {
            store.delete(&lock.key).await.unwrap();
        }
        let _ = repo.prune(&f.identity, &request, &progress, &cancel).await.unwrap();
        verify().await;
        let packs: u64 = store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
        assert!(packs < 550_000, "cut off at call {calls}: {packs} bytes are left of 500000");
        assert_eq!(repo.snapshots().await.unwrap().summaries.len(), 1);
        calls += 1;
        assert!(calls < 300, "a prune never came to an end");
    }
    assert!(calls > 30, "only {calls} calls were cut off");
}
