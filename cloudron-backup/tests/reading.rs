//! Reading backups without restoring them: listing, finding, comparing two.

mod common;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cloudron_backup::{Change, ChangeKind, FileEntry, FileKind, Found, SnapshotFilter, codes};
use cloudron_core::{BackupId, Cancel, Error, Progress, Result};
use common::{Fixture, noise};

/// Returns a list, and a callback that adds to it.
fn collector<T: Send + 'static>() -> (Arc<Mutex<Vec<T>>>, impl FnMut(T) -> Result<()> + Send + 'static) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = seen.clone();
    (seen, move |item| {
        into.lock().unwrap().push(item);
        Ok(())
    })
}

fn taken<T>(seen: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut seen.lock().unwrap())
}

async fn listed(f: &Fixture, id: &BackupId, only: &[PathBuf]) -> Result<Vec<FileEntry>> {
    let (seen, each) = collector();
    let report = f.repo.entries(&f.identity, id, only, each, &Progress::none(), &Cancel::new()).await?;
    let entries: Vec<FileEntry> = taken(&seen);
    assert_eq!(report.entries, entries.len() as u64);
    assert_eq!(report.files, entries.iter().filter(|e| e.kind == FileKind::File).count() as u64);
    assert_eq!(report.bytes, entries.iter().map(|e| e.size).sum::<u64>());
    Ok(entries)
}

async fn found(f: &Fixture, pattern: &str, filter: &SnapshotFilter) -> Vec<Found> {
    let (seen, each) = collector();
    let patterns = [pattern.to_owned()];
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let report = f.repo.find_paths(&f.identity, &patterns, filter, each, &progress, &cancel).await.unwrap();
    let found = taken(&seen);
    assert_eq!(report.matches, found.len() as u64);
    assert!(report.skipped.is_empty());
    found
}

async fn changes(f: &Fixture, a: &BackupId, b: &BackupId) -> Vec<(ChangeKind, String)> {
    let (seen, each) = collector();
    let report =
        f.repo.diff(&f.identity, (a, b), &[], each, &Progress::none(), &Cancel::new()).await.unwrap();
    let all: Vec<Change> = taken(&seen);
    let count = |kind| all.iter().filter(|c| c.kind == kind).count() as u64;
    assert_eq!(
        [report.added, report.removed, report.content, report.metadata, report.types],
        [ChangeKind::Added, ChangeKind::Removed, ChangeKind::Content, ChangeKind::Metadata, ChangeKind::Type]
            .map(count)
    );
    assert_eq!(report.is_same(), all.is_empty());
    let name = |c: &Change| {
        let entry = c.after.as_ref().or(c.before.as_ref()).unwrap();
        entry.path.strip_prefix(f.source()).unwrap().display().to_string()
    };
    all.iter().map(|c| (c.kind, name(c))).collect()
}

#[tokio::test]
async fn a_listing_has_every_entry_with_what_is_known_of_it() {
    let f = Fixture::new().await;
    f.write("a/one", "12345");
    f.write("a.b", "");
    std::os::unix::fs::symlink("one", f.source().join("a/link")).unwrap();
    std::fs::hard_link(f.source().join("a/one"), f.source().join("z")).unwrap();
    let id = f.backup().await.id;
    let all = listed(&f, &id, &[]).await.unwrap();
    let names: Vec<_> =
        all.iter().map(|e| (e.path.strip_prefix(f.source()).unwrap().to_str().unwrap(), e.kind)).collect();
    use FileKind::{Dir, File, Hardlink, Symlink};
    assert_eq!(
        names,
        [("", Dir), ("a", Dir), ("a/link", Symlink), ("a/one", File), ("a.b", File), ("z", Hardlink)]
    );
    assert_eq!((all[3].size, all[2].target.as_deref()), (5, Some("one".as_ref())));
    let of_12345 = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
    assert_eq!(all[3].sha256.as_deref(), Some(of_12345));
    assert_eq!(all[5].target, Some(f.source().join("a/one")));

    let below = listed(&f, &id, &[f.source().join("a")]).await.unwrap();
    assert_eq!(below.len(), 3, "a.b is not below a");
    let error = listed(&f, &id, &[f.source().join("a"), "/none".into()]).await.unwrap_err();
    assert!(error.is(&codes::PATH_UNKNOWN) && error.to_string().contains("/none"), "{error}");
}

#[tokio::test]
async fn an_error_of_the_caller_ends_a_listing() {
    let f = Fixture::new().await;
    f.write("a", "1");
    let id = f.backup().await.id;
    let each = |_| Err(Error::new(&cloudron_core::codes::FAILED, "the output is closed"));
    let listed = f.repo.entries(&f.identity, &id, &[], each, &Progress::none(), &Cancel::new()).await;
    assert!(listed.unwrap_err().to_string().contains("the output is closed"));
    let each = |_| Err(Error::new(&cloudron_core::codes::FAILED, "the output is closed"));
    let (all, progress, cancel) = (SnapshotFilter::all(), Progress::none(), Cancel::new());
    let found = f.repo.find_paths(&f.identity, &["a".into()], &all, each, &progress, &cancel).await;
    assert!(found.unwrap_err().to_string().contains("the output is closed"));
}

#[tokio::test]
async fn a_search_says_in_which_backups_something_is() {
    let f = Fixture::new().await;
    f.write("notes/todo.txt", "1");
    let first = f.backup().await.id;
    f.write("notes/todo.txt", "12");
    f.write("todo.txt/x", "");
    let mut request = f.request();
    request.tags = vec!["two".into()];
    let second = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap().id;
    let all = SnapshotFilter::all();
    let hits: Vec<_> =
        found(&f, "todo.*", &all).await.into_iter().map(|h| (h.backup, h.entry.size)).collect();
    assert_eq!(hits, [(first.clone(), 1), (second.clone(), 2), (second.clone(), 0)]);
    let whole = f.source().join("notes/*").display().to_string();
    assert_eq!(found(&f, &whole, &SnapshotFilter::all().with_tag("two")).await.len(), 1);
    assert_eq!(found(&f, "nothing", &all).await.len(), 0);
    let json = serde_json::to_value(&found(&f, "x", &all).await[0]).unwrap();
    assert_eq!((json["backup"].as_str(), json["kind"].as_str()), (Some(second.as_str()), Some("file")));

    let made = f.repo.find(first.as_str()).await.unwrap();
    f.store.delete(&Fixture::manifest_of(&made)).await.unwrap();
    let (seen, each) = collector();
    let (patterns, progress, cancel) = (["todo.txt".to_owned()], Progress::none(), Cancel::new());
    let report = f.repo.find_paths(&f.identity, &patterns, &all, each, &progress, &cancel).await.unwrap();
    assert_eq!((report.backups, report.skipped[0].backup == first), (1, true));
    assert_eq!(taken::<Found>(&seen).len(), 2, "the other backup is searched all the same");
}

#[tokio::test]
async fn a_diff_names_what_was_added_removed_and_changed_in_what_way() {
    use std::os::unix::fs::PermissionsExt;
    let f = Fixture::new().await;
    for name in ["a/x", "a.b", "content", "mode", "type", "gone/in", "same"] {
        f.write(name, name);
    }
    f.write("large", noise(300_000, 1));
    let a = f.backup().await.id;
    assert_eq!(changes(&f, &a, &a).await, []);
    f.write("content", "another");
    std::fs::set_permissions(f.source().join("mode"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::remove_file(f.source().join("type")).unwrap();
    f.write("type/in", "");
    std::fs::remove_dir_all(f.source().join("gone")).unwrap();
    f.write("large", noise(400_000, 2));
    f.write("a/y", "");
    let b = f.backup().await.id;
    use ChangeKind::{Added, Content, Metadata, Removed, Type};
    let named = |all: &[(ChangeKind, &str)]| all.iter().map(|(k, n)| (*k, n.to_string())).collect::<Vec<_>>();
    let forth = changes(&f, &a, &b).await.into_iter().filter(|(_, n)| !["", "a"].contains(&n.as_str()));
    let expected = [
        (Added, "a/y"),
        (Content, "content"),
        (Removed, "gone"),
        (Removed, "gone/in"),
        (Content, "large"),
        (Metadata, "mode"),
        (Type, "type"),
        (Added, "type/in"),
    ];
    assert_eq!(forth.collect::<Vec<_>>(), named(&expected));
    let back = changes(&f, &b, &a).await;
    let swapped = back.iter().filter(|(k, _)| *k == Removed).count();
    assert_eq!(swapped, 2, "{back:?}");

    let (seen, each) = collector();
    let only = [f.source().join("large")];
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let report = f.repo.diff(&f.identity, (&a, &b), &only, each, &progress, &cancel).await.unwrap();
    assert_eq!((report.bytes_before, report.bytes_after, report.content), (300_000, 400_000, 1));
    let change: Change = taken(&seen).remove(0);
    assert_eq!((change.before.unwrap().size, change.after.unwrap().size), (300_000, 400_000));
}

#[tokio::test]
async fn the_latest_backup_is_the_one_that_was_made_last_whatever_a_clock_said() {
    let f = Fixture::new().await;
    let cached = f.repo.clone().with_cache_dir(f.dir.path().join("cache"));
    f.write("a", "1");
    f.backup_as("backup_2099-01-02T03-04-05Z_v1.0.0").await;
    let made = f.backup().await.id;
    f.bring("backup_2020-01-02T03-04-05Z_v1.0.0").await;
    let newest = f.backup().await.id;
    f.bring("backup_2021-01-02T03-04-05Z_v1.0.0").await;
    for repo in [&f.repo, &cached, &cached] {
        assert_eq!(repo.find("latest").await.unwrap().id, newest);
        let of_it = SnapshotFilter::all().of_path(f.source());
        assert_eq!(repo.find_matching("latest", &of_it).await.unwrap().id, newest);
    }
    f.store.delete(&format!("snapshots/{newest}.json")).await.unwrap();
    assert_eq!(cached.find("latest").await.unwrap().id, made);
}

#[tokio::test]
async fn tags_and_machines_choose_among_backups() {
    let f = Fixture::new().await;
    f.write("a", "1");
    let mut ids = Vec::new();
    for (host, tags) in [("alpha", vec!["weekly", "kept"]), ("alpha", vec![]), ("beta", vec!["weekly"])] {
        let mut request = f.request();
        request.host = host.into();
        request.tags = tags.into_iter().map(str::to_owned).collect();
        let made = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap();
        ids.push(made.id);
    }
    let latest = async |filter: SnapshotFilter| f.repo.find_matching("latest", &filter).await.map(|s| s.id);
    let all = SnapshotFilter::all;
    assert_eq!(latest(all()).await.unwrap(), ids[2]);
    assert_eq!(latest(all().of_host("alpha")).await.unwrap(), ids[1]);
    assert_eq!(latest(all().of_host("alpha").with_tag("weekly")).await.unwrap(), ids[0]);
    assert_eq!(latest(all().with_tag("weekly")).await.unwrap(), ids[2]);
    assert_eq!(latest(all().of_path(f.source().join("deep/in"))).await.unwrap(), ids[2]);
    let none = [all().with_tag("other"), all().of_path("/elsewhere"), all().of_fqdn("example.com")];
    for filter in none {
        assert!(latest(filter).await.unwrap_err().is(&codes::BACKUP_UNKNOWN));
    }
    let weekly = f.repo.snapshots_matching(&all().with_tag("weekly")).await.unwrap().summaries;
    assert_eq!(
        weekly.iter().map(|s| s.tags.clone()).collect::<Vec<_>>(),
        [vec!["kept", "weekly"], vec!["weekly"]]
    );

    let mut request = f.request();
    request.tags = vec!["a,b".into()];
    let refused = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap_err();
    assert!(refused.is(&codes::TAG_INVALID));
}
