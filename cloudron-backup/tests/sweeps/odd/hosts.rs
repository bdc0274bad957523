//! Machines with unusual clocks, caches and permissions, and several of them at once.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Cancel, Progress, Version};
use cloudron_testkit::tree::{self, Rng};

use super::garden::is_root;
use crate::child::{Work, outcome};
use crate::common::{Fixture, noise};
use crate::world::{World, rounds, seed};

#[tokio::test]
async fn a_clock_that_jumps_keeps_every_backup_and_its_order() {
    let f = Fixture::new().await;
    let mut sequences = Vec::new();
    for (n, seconds) in [2_000_000_000u64, 1_000_000_000, 1_500_000_000].into_iter().enumerate() {
        f.write("file", format!("content {n}"));
        let id = BackupId::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), &Version::current());
        let mut request = f.request();
        request.id = id.clone();
        let summary = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap();
        sequences.push(summary.sequence);
        f.assert_restores(&id, &format!("out{n}")).await;
    }
    assert_eq!(sequences, [1, 2, 3]);
    assert_eq!(f.repo.snapshots().await.unwrap().summaries.len(), 3);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_time_only() {
    let f = Fixture::new().await;
    f.write("file", "content");
    std::fs::write(f.dir.path().join("no folder"), "").unwrap();
    let mut request = f.request();
    request.cache_dir = Some(f.dir.path().join("no folder/cache"));
    let summary = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap();
    f.assert_restores(&summary.id, "out").await;
}

#[tokio::test]
async fn a_cache_that_was_changed_does_not_change_a_backup() {
    let mut rng = Rng::new(seed());
    let f = Fixture::new().await;
    for i in 0..30 {
        f.write(&format!("{i:02}"), noise(2000 + i * 10, i as u8));
    }
    f.write("large", noise(400_000, 50));
    tokio::time::sleep(Duration::from_millis(3100)).await;
    f.backup().await;
    let cache = f.dir.path().join("cache");
    for round in 0..rounds(3) {
        let mut last = None;
        for file in files_below(&cache) {
            let mut content = std::fs::read(&file).unwrap();
            if !content.is_empty() {
                let at = rng.below(content.len() as u64) as usize;
                content[at] ^= 1 << rng.below(3);
                last = Some((file.clone(), at));
                std::fs::write(&file, content).unwrap();
            }
        }
        let id = f.backup().await.id;
        let target = format!("out{round}");
        let report = f.restore(&id, &target).await.unwrap();
        assert!(report.is_complete(), "round {round}, {last:?}: {:?}", report.failed);
        tree::assert_same(&f.source(), &f.restored(&target));
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files_below(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Another user, since root may read everything.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn what_may_not_be_read_is_counted_and_the_rest_is_in_the_backup() {
    if !cloudron_testkit::require::that(is_root(), "the test needs root to become somebody else") {
        return;
    }
    use std::os::unix::process::CommandExt;
    let world = World::new(seed()).await;
    std::fs::set_permissions(world.f.source().join("large0"), PermissionsExt::from_mode(0o000)).unwrap();
    std::fs::set_permissions(world.f.source().join("small/3"), PermissionsExt::from_mode(0o000)).unwrap();
    let program = world.folder().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for folder in [world.folder(), world.f.dir.path().to_owned()] {
        own_all(&folder);
    }
    let spec = world.backup_spec(None);
    let status = spec.command_of(&program, &world.folder(), &[]).uid(NOBODY).gid(NOBODY).status().unwrap();
    let ended = outcome(&world.folder(), status).unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    let summary = world.f.repo.find(spec.id.as_str()).await.unwrap();
    assert_eq!(summary.errors, 2);
    let report = world.f.restore(&spec.id, "out").await.unwrap();
    assert!(report.is_complete());
    let restored = tree::digest(&world.f.restored("out")).unwrap();
    let missing = |p: &&PathBuf| !restored.contains_key(*p);
    let source = world.source();
    let missing: Vec<&PathBuf> = source.keys().filter(missing).collect();
    assert!(missing.iter().all(|p| **p == Path::new("large0") || p.starts_with("small/3")), "{missing:?}");

    // A store without write permission.
    for folder in ["packs", "index", "snapshots", "locks", "."] {
        let _ = std::fs::set_permissions(world.store().join(folder), PermissionsExt::from_mode(0o500));
    }
    world.f.write("more", noise(300_000, 9));
    own_all(&world.f.source());
    let next = world.backup_spec(None);
    let status = next.command_of(&program, &world.folder(), &[]).uid(NOBODY).gid(NOBODY).status().unwrap();
    let ended = outcome(&world.folder(), status).unwrap();
    assert_eq!(ended.code.as_deref(), Some("permission"), "{ended:?}");
    assert!(world.f.repo.find(next.id.as_str()).await.is_err());
    assert!(world.f.restore(&spec.id, "again").await.unwrap().is_complete());
}

fn own_all(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|e| own_all(&e.unwrap().path()));
    }
}

#[tokio::test]
async fn backups_of_several_processes_at_once_are_all_whole() {
    let mut world = World::new(seed()).await;
    for round in 0..2 {
        world.change();
        let mut running = Vec::new();
        for n in 0..3 {
            let mut spec = world.backup_spec(None);
            let folder = world.folder().join(format!("process{round}{n}"));
            std::fs::create_dir(&folder).unwrap();
            if let Work::Backup { cache, .. } = &mut spec.work {
                // Two hosts, and two processes on one.
                *cache = Some(world.f.dir.path().join(format!("cache{}", n.min(1))));
            }
            running.push((spec.command(&folder, &[]).spawn().unwrap(), folder, spec.id));
        }
        for (mut process, folder, id) in running {
            let status = process.wait().unwrap();
            let ended = outcome(&folder, status).unwrap();
            assert!(ended.is_ok(), "{ended:?}");
            world.made.insert(id, world.source());
        }
        world.check(None, "several at once").await;
    }
    world.all_restore("several at once").await;
}
