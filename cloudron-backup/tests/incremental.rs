//! A backup adds only what changed.

mod common;

use std::time::{Duration, SystemTime};

use common::{Fixture, noise};

#[tokio::test]
async fn an_unchanged_run_stores_no_pack_and_no_index() {
    let f = Fixture::new().await;
    cloudron_testkit::tree::generate(&f.source(), 5, 8 << 20).unwrap();
    f.backup().await;
    let packs = f.keys_under("packs/").await;
    let index = f.keys_under("index/").await;
    let second = f.backup().await;
    assert_eq!((f.keys_under("packs/").await, f.keys_under("index/").await), (packs, index));
    assert!(second.added_bytes < 1 << 20);
    assert_eq!(second.sequence, 2);
    f.assert_restores(&second.id, "out").await;
}

#[tokio::test]
async fn losing_the_cache_costs_no_space() {
    let f = Fixture::new().await;
    cloudron_testkit::tree::generate(&f.source(), 5, 8 << 20).unwrap();
    f.backup().await;
    let packs = f.keys_under("packs/").await;
    std::fs::remove_dir_all(f.dir.path().join("cache")).unwrap();
    let second = f.backup().await;
    assert_eq!(f.keys_under("packs/").await, packs);
    f.assert_restores(&second.id, "out").await;
}

#[tokio::test]
async fn a_change_adds_about_as_much_as_changed() {
    let f = Fixture::new().await;
    let mut large = noise(20 << 20, 1);
    f.write("large", &large);
    for i in 0..200 {
        f.write(&format!("small/{i}"), noise(5000, i as u8));
    }
    f.backup().await;
    large.splice(9_000_000..9_000_000, *b"an insertion");
    f.write("large", &large);
    f.write("small/7", "changed");
    let second = f.backup().await;
    assert!(second.added_bytes < 9 << 20, "{}", second.added_bytes);
    f.assert_restores(&second.id, "out").await;
}

/// Returns the only listing of files in the cache.
fn listing(f: &Fixture) -> std::path::PathBuf {
    let cache = f.dir.path().join("cache").join(f.repo.id());
    let names = std::fs::read_dir(cache).unwrap().map(|e| e.unwrap().path());
    let mut found = names.filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("files"));
    let listing = found.next().unwrap();
    assert_eq!(found.next(), None);
    listing
}

#[tokio::test]
async fn two_jobs_that_take_turns_read_nothing_twice() {
    let f = Fixture::new().await;
    for name in ["a/one", "b/two"] {
        f.write(name, noise(100_000, name.len() as u8));
    }
    // A file counts as settled two seconds after its last change.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let (progress, cancel) = (cloudron_core::Progress::none(), cloudron_core::Cancel::new());
    let job = |name: &str| {
        let mut request = f.request();
        request.sources = vec![cloudron_backup::Source::new(name, f.source().join(name))];
        request
    };
    for name in ["a", "b", "a", "b"] {
        f.repo.backup(&f.keys, job(name), &progress, &cancel).await.unwrap();
    }
    for name in ["a", "b"] {
        let plan = f.repo.plan_backup(&f.keys, &job(name), |_| {}, &progress, &cancel).await.unwrap();
        assert_eq!((plan.files, plan.read_files), (1, 0), "{name}");
    }
    // Files in both sets, without an own listing, are known from the newest one.
    let plan = f.repo.plan_backup(&f.keys, &f.request(), |_| {}, &progress, &cancel).await.unwrap();
    assert_eq!((plan.files, plan.read_files), (2, 1));
}

#[tokio::test]
async fn unchanged_files_are_not_read_again() {
    let f = Fixture::new().await;
    f.write("old", noise(300_000, 1));
    // A file counts as settled two seconds after its last change.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    f.backup().await;
    let cache = listing(&f);
    let listing = std::fs::read_to_string(&cache).unwrap();
    assert_eq!(listing.lines().count(), 2, "{listing}");
    // The listing is trusted: a line for other content shows up in the next manifest.
    let second = f.backup().await;
    assert!(second.added_bytes < 10_000);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o600);
    f.assert_restores(&second.id, "out").await;
}

#[tokio::test]
async fn a_change_that_keeps_size_and_time_is_seen() {
    let f = Fixture::new().await;
    f.write("file", "first content");
    let time = SystemTime::now() - Duration::from_secs(3600);
    common::set_mtime(&f.source().join("file"), time);
    f.backup().await;
    f.write("file", "other content");
    common::set_mtime(&f.source().join("file"), time);
    let second = f.backup().await;
    f.assert_restores(&second.id, "out").await;
}

#[tokio::test]
async fn a_damaged_cache_is_not_believed_and_does_not_stop_a_backup() {
    let f = Fixture::new().await;
    f.write("file", "content");
    f.backup().await;
    let cache = listing(&f);
    for damage in ["", "{}\n", "not json\n"] {
        std::fs::write(&cache, damage).unwrap();
        f.backup().await;
    }
}

#[tokio::test]
async fn unreadable_and_vanishing_sources_are_counted_and_told() {
    let f = Fixture::new().await;
    f.write("file", "content");
    let mut request = f.request();
    request.sources.push(cloudron_backup::Source::new("gone", f.dir.path().join("gone")));
    let warnings = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = warnings.clone();
    let progress = cloudron_core::Progress::to(move |e| {
        if let cloudron_core::Event::Warning { text } = e {
            sink.lock().unwrap().push(text.clone());
        }
    });
    let summary = f.repo.backup(&f.keys, request, &progress, &cloudron_core::Cancel::new()).await.unwrap();
    assert_eq!((summary.errors, summary.files), (1, 1));
    assert!(warnings.lock().unwrap()[0].contains("gone"));
    let mut request = f.request();
    request.sources.remove(0);
    request.sources.push(cloudron_backup::Source::new("gone", f.dir.path().join("gone")));
    let error = f.repo.backup(&f.keys, request, &progress, &cloudron_core::Cancel::new()).await.unwrap_err();
    assert!(error.is(&cloudron_backup::codes::SOURCE_MISSING));
}

/// Returns the number of lines with hashes of pieces in the listing.
fn pieces(f: &Fixture) -> usize {
    std::fs::read_to_string(listing(f)).unwrap().matches("\"p\":").count()
}

#[tokio::test]
async fn a_large_file_that_changes_in_place_adds_little() {
    let f = Fixture::new().await;
    let mut content = noise(24 << 20, 1);
    f.write("database", &content);
    // A file counts as settled two seconds after its last change.
    let settle = || tokio::time::sleep(Duration::from_millis(3100));
    settle().await;
    let first = f.backup().await;
    assert_eq!(pieces(&f), 1);
    for round in 0..2u8 {
        for i in 0..20usize {
            let at = i * 1_200_000 + 500_000 * usize::from(round);
            content[at..at + 100].fill(round);
        }
        // It also grows, from the middle of a piece.
        content.extend_from_slice(&noise(100_000, 7 + round));
        f.write("database", &content);
        settle().await;
        let made = f.backup().await;
        assert!(made.added_bytes < 4 << 20, "{} bytes for 20 changes", made.added_bytes);
        f.assert_restores(&made.id, &format!("out{round}")).await;
    }
    // Without the listing, the rest is found by its chunks only.
    std::fs::remove_dir_all(f.dir.path().join("cache")).unwrap();
    let last = f.backup().await;
    f.assert_restores(&last.id, "last").await;
    let old = f.restore(&first.id, "first").await.unwrap();
    assert!(old.is_complete());
}

#[tokio::test]
async fn a_file_that_is_in_too_many_pieces_is_stored_anew() {
    let f = Fixture::new().await;
    let mut content = noise(9 << 20, 1);
    f.write("database", &content);
    let settle = || tokio::time::sleep(Duration::from_millis(3100));
    settle().await;
    f.backup().await;
    let mut added = Vec::new();
    for round in 0..3usize {
        for at in (round * 70_000..content.len() - 10).step_by(300_000) {
            content[at] ^= 0xff;
        }
        f.write("database", &content);
        settle().await;
        let made = f.backup().await;
        added.push(made.added_bytes);
        f.assert_restores(&made.id, &format!("out{round}")).await;
    }
    assert!(added[0] < 4 << 20, "{added:?}");
    assert!(added.iter().any(|a| *a > 8 << 20), "{added:?}");
}

#[tokio::test]
async fn the_bar_of_a_backup_knows_where_it_ends_from_the_last_one() {
    let f = Fixture::new().await;
    f.write("a", noise(400_000, 1));
    let totals = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = totals.clone();
    let progress = cloudron_core::Progress::to(move |event| match event {
        cloudron_core::Event::Started { label, total, .. } if label == "Backing up" => {
            sink.lock().unwrap().push(*total);
        }
        _ => {}
    });
    for _ in 0..2 {
        f.repo.backup(&f.keys, f.request(), &progress, &cloudron_core::Cancel::new()).await.unwrap();
    }
    assert_eq!(*totals.lock().unwrap(), [None, Some(400_000)]);
}
