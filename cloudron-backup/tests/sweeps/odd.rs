//! Odd trees, odd clocks, odd permissions, and more than one at once.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cloudron_backup::{BackupRequest, FsStore, Source, VerifyDepth};
use cloudron_core::{BackupId, Cancel, Progress, Version};
use cloudron_testkit::tree::{self, Rng};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, mkdirat, mknodat, openat};

use crate::child::outcome;
use crate::common::{Fixture, noise};
use crate::world::{World, rounds, seed};

/// Sizes around those at which a file is treated in another way.
const SIZES: [usize; 14] = [
    0,
    1,
    4095,
    (64 << 10) - 1,
    64 << 10,
    (128 << 10) - 1,
    128 << 10,
    (128 << 10) + 1,
    (256 << 10) + 1,
    1 << 20,
    (1 << 20) + 1,
    4 << 20,
    (4 << 20) + 1,
    5_000_000,
];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn name(rng: &mut Rng) -> Vec<u8> {
    let length = [1, 3, 12, 255][rng.below(4) as usize];
    let mut name: Vec<u8> = (0..length).map(|_| rng.below(256) as u8).collect();
    name.iter_mut().filter(|b| **b == 0 || **b == b'/').for_each(|b| *b = b'\n');
    if name == b"." || name == b".." { b"dots".to_vec() } else { name }
}

fn set_time(path: &Path, rng: &mut Rng) {
    let seconds = match rng.below(4) {
        0 => -(rng.below(2_000_000_000) as i64),
        1 => 1 << 33,
        _ => rng.below(2_000_000_000) as i64,
    };
    let time = Timespec { tv_sec: seconds, tv_nsec: rng.below(1_000_000_000) as i64 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A tree that changes at random, with every kind of entry.
struct Garden {
    rng: Rng,
    root: PathBuf,
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Garden {
    fn new(root: PathBuf, seed: u64) -> Self {
        Self { rng: Rng::new(seed), folders: vec![root.clone()], files: Vec::new(), root }
    }

    fn new_path(&mut self) -> Option<PathBuf> {
        let folder = self.rng.pick(&self.folders.clone()).clone();
        let path = folder.join(OsStr::from_bytes(&name(&mut self.rng)));
        (path.as_os_str().len() < 3900 && path.symlink_metadata().is_err()).then_some(path)
    }

    fn plant(&mut self) {
        let Some(path) = self.new_path() else { return };
        match self.rng.below(12) {
            0 | 1 => {
                std::fs::create_dir(&path).unwrap();
                let modes =
                    if is_root() { [0o755, 0o000, 0o1777, 0o2750] } else { [0o755, 0o700, 0o1777, 0o2750] };
                std::fs::set_permissions(&path, PermissionsExt::from_mode(*self.rng.pick(&modes))).unwrap();
                self.folders.push(path.clone());
            }
            2 => symlink(OsStr::from_bytes(&name(&mut self.rng)), &path).unwrap(),
            3 => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap(),
            4 if !self.files.is_empty() => {
                let first = self.rng.pick(&self.files.clone()).clone();
                std::fs::hard_link(first, &path).unwrap();
                return;
            }
            5 => {
                // Holes of 128 KiB and more in odd places. Shorter ones may be filled.
                let file = std::fs::File::create(&path).unwrap();
                let at = (128 << 10) + self.rng.below(3 << 20);
                std::os::unix::fs::FileExt::write_at(
                    &file,
                    &noise(1 + self.rng.below(300_000) as usize, 1),
                    at,
                )
                .unwrap();
                file.set_len(at + (1 << 20) + self.rng.below(1 << 20)).unwrap();
                self.files.push(path.clone());
            }
            6 if is_root() => {
                let kind = *self.rng.pick(&[FileType::BlockDevice, FileType::CharacterDevice]);
                let number = rustix::fs::makedev(self.rng.below(200) as u32, self.rng.below(200) as u32);
                mknodat(CWD, &path, kind, Mode::from_raw_mode(0o600), number).unwrap();
            }
            _ => {
                self.write(&path);
                self.files.push(path.clone());
            }
        }
        set_time(&path, &mut self.rng);
    }

    fn write(&mut self, path: &Path) {
        let size = match self.rng.below(3) {
            0 => *self.rng.pick(&SIZES),
            _ => self.rng.below(3000) as usize,
        };
        std::fs::write(path, noise(size, self.rng.below(256) as u8)).unwrap();
        if self.rng.below(3) == 0 {
            let value = noise(self.rng.below(200) as usize, 3);
            // Some file systems have none.
            let _ = xattr::set(path, "user.some thing", &value);
            let _ = xattr::set(path, "user.größe", &value);
        }
        let modes = [0o644, 0o600, 0o4755, 0o2711, 0o1644, 0o444, if is_root() { 0 } else { 0o400 }];
        std::fs::set_permissions(path, PermissionsExt::from_mode(*self.rng.pick(&modes))).unwrap();
        if is_root() && self.rng.below(3) == 0 {
            let (uid, gid) = (self.rng.below(70_000) as u32, self.rng.below(70_000) as u32);
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn change(&mut self) {
        if self.files.is_empty() {
            return self.plant();
        }
        let at = self.rng.below(self.files.len() as u64) as usize;
        let path = self.files[at].clone();
        let Ok(meta) = path.metadata() else { return };
        match self.rng.below(7) {
            0 => {
                std::fs::remove_file(&path).unwrap();
                self.files.remove(at);
            }
            1 => {
                if let Some(new) = self.new_path() {
                    std::fs::rename(&path, &new).unwrap();
                    self.files[at] = new;
                }
            }
            2 if is_root() || meta.mode() & 0o200 != 0 => {
                // The same size and the same time: only ctime tells.
                let content = noise(meta.len().min(2 << 20) as usize, self.rng.below(256) as u8);
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                std::os::unix::fs::FileExt::write_at(&file, &content, 0).unwrap();
                file.set_modified(meta.modified().unwrap()).unwrap();
            }
            3 => std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap(),
            4 => set_time(&path, &mut self.rng),
            5 => {
                let folder = self.rng.pick(&self.folders.clone()).clone();
                set_time(&folder, &mut self.rng);
            }
            _ => self.plant(),
        }
    }
}

#[tokio::test]
async fn any_tree_restores_as_it_is_after_any_changes() {
    for round in 0..rounds(3) {
        let f = Fixture::new().await;
        let mut garden = Garden::new(f.source(), seed() * 1000 + round);
        for _ in 0..30 {
            garden.plant();
        }
        let mut made = Vec::new();
        for step in 0..4 {
            let summary = f.backup().await;
            assert_eq!((summary.errors, summary.warnings), (0, 0), "round {round}, step {step}");
            f.assert_restores(&summary.id, &format!("out{step}")).await;
            made.push((summary.id, tree::digest(&garden.root).unwrap()));
            for _ in 0..8 {
                garden.change();
            }
        }
        // The older ones are as they were.
        for (id, digest) in made {
            let target = format!("old-{id}");
            assert!(f.restore(&id, &target).await.unwrap().is_complete());
            let differences = tree::compare(&digest, &tree::digest(&f.restored(&target)).unwrap());
            assert!(differences.is_empty(), "round {round}: {id}: {differences:?}");
        }
    }
}

#[tokio::test]
async fn a_tree_deeper_than_a_path_can_say_comes_back() {
    let f = Fixture::new().await;
    let name = "d".repeat(200);
    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut folder = openat(CWD, f.source(), flags, Mode::empty()).unwrap();
    for _ in 0..40 {
        mkdirat(&folder, name.as_str(), Mode::RWXU).unwrap();
        folder = openat(&folder, name.as_str(), flags, Mode::empty()).unwrap();
    }
    let file = openat(&folder, "bottom", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
    std::io::Write::write_all(&mut std::fs::File::from(file), b"at the bottom").unwrap();
    let summary = f.backup().await;
    assert_eq!((summary.errors, summary.files, summary.entries["dir"]), (0, 1, 41));
    let report = f.restore(&summary.id, "out").await.unwrap();
    assert!(report.is_complete(), "{:?}", report.failed);
    assert!(f.compare(&summary.id, "out").await.is_identical());
    let mut folder = openat(CWD, f.restored("out"), flags, Mode::empty()).unwrap();
    for _ in 0..40 {
        folder = openat(&folder, name.as_str(), flags, Mode::empty()).unwrap();
    }
    assert!(openat(&folder, "bottom", OFlags::RDONLY, Mode::empty()).is_ok());
}

#[tokio::test]
async fn a_tree_of_more_levels_than_files_may_be_open_comes_back() {
    let f = Fixture::new().await;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut folder = openat(CWD, f.source(), flags, Mode::empty()).unwrap();
    let levels = 1200;
    for _ in 0..levels {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = openat(&folder, "d", flags, Mode::empty()).unwrap();
    }
    let summary = f.backup().await;
    assert_eq!((summary.errors, summary.entries["dir"]), (0, levels + 1));
    assert!(f.restore(&summary.id, "out").await.unwrap().is_complete());
    assert!(f.compare(&summary.id, "out").await.is_identical());
}

#[tokio::test]
async fn a_socket_is_left_out_with_a_word() {
    let f = Fixture::new().await;
    let socket = f.source().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(socket.metadata().unwrap().file_type().is_socket());
    let notes = Arc::new(std::sync::Mutex::new(String::new()));
    let sink = notes.clone();
    let progress = Progress::to(move |e| sink.lock().unwrap().push_str(&format!("{e:?}")));
    let summary = f.repo.backup(&f.keys, f.request(), &progress, &Cancel::new()).await.unwrap();
    assert_eq!((summary.errors, summary.entries.len()), (0, 1));
    assert!(notes.lock().unwrap().contains("is a socket"), "{notes:?}");
}

#[tokio::test]
async fn what_is_excluded_is_not_in_a_backup_and_all_else_is() {
    let f = Fixture::new().await;
    let mut garden = Garden::new(f.source(), seed());
    for _ in 0..200 {
        garden.plant();
    }
    for name in ["keep", "drop.tmp", "drop"] {
        f.write(&format!("plain/{name}"), name);
    }
    std::fs::hard_link(f.source().join("plain/drop.tmp"), f.source().join("plain/linked")).unwrap();
    let mut request = f.request();
    let top = f.source().join("plain/drop").display().to_string();
    // Of names of one byte: a good part of the tree.
    request.excludes = vec!["*.tmp".into(), top.clone(), "?".into()];
    let summary = f.repo.backup(&f.keys, request, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(f.restore(&summary.id, "out").await.unwrap().is_complete());
    let excluded = |path: &Path| {
        path.components().any(|c| {
            let name = c.as_os_str().as_bytes();
            name.len() == 1 || name.ends_with(b".tmp")
        }) || f.source().join(path) == Path::new(&top)
    };
    let paths = |root: &Path| tree::digest(root).unwrap().into_keys().collect::<Vec<_>>();
    let mut expected = paths(&f.source());
    expected.retain(|p| !excluded(p));
    assert_eq!(paths(&f.restored("out")), expected);
    assert_eq!(std::fs::read(f.restored("out").join("plain/linked")).unwrap(), b"drop.tmp");
}

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

/// Another user, for what root may do anyway.
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

    // A store that may not be written to.
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
            if let crate::child::Work::Backup { cache, .. } = &mut spec.work {
                // Two hosts, and two on one.
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

#[tokio::test]
async fn empty_and_huge_things_come_back() {
    let f = Fixture::on(Arc::new(FsStore::new(tempfile::tempdir().unwrap().keep()).unwrap())).await;
    let empty = f.backup().await;
    f.assert_restores(&empty.id, "empty").await;
    // One empty file as a source of its own, and one of up to more than 4 GiB, nearly all of it a hole.
    let (file, huge) = (f.target("empty file"), f.target("huge"));
    std::fs::write(&file, "").unwrap();
    let sparse = std::fs::File::create(&huge).unwrap();
    // Hashing what a hole reads as takes its time.
    let length = if rounds(1) > 1 { (4 << 30) + 12_345 } else { (200 << 20) + 12_345 };
    std::os::unix::fs::FileExt::write_at(&sparse, &noise(200_000, 1), length - 300_000).unwrap();
    sparse.set_len(length).unwrap();
    let id = f.next_id();
    let request = BackupRequest::new(id.clone(), vec![Source::new("e", &file), Source::new("h", &huge)]);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let summary = f.repo.backup(&f.keys, request, &progress, &cancel).await.unwrap();
    assert_eq!((summary.files, summary.bytes), (2, length));
    assert!(f.restore(&id, "out").await.unwrap().is_complete());
    assert!(f.compare(&id, "out").await.is_identical());
    let back = f.target("out").join(huge.strip_prefix("/").unwrap()).metadata().unwrap();
    assert_eq!(back.len(), length);
    assert!(back.blocks() * 512 < 10 << 20, "{}", back.blocks());
    let report = f.repo.verify(VerifyDepth::Full, Some(&f.identity), &progress, &cancel).await.unwrap();
    assert!(report.is_good());
    std::fs::remove_dir_all(f.store.url().strip_prefix("file://").unwrap()).unwrap();
}

#[tokio::test]
async fn a_folder_of_very_many_files_comes_back() {
    let f = Fixture::new().await;
    let files = if rounds(1) > 1 { 100_000 } else { 10_000 };
    for i in 0..files {
        std::fs::write(f.source().join(format!("{i}")), format!("{i}")).unwrap();
    }
    let summary = f.backup().await;
    assert_eq!(summary.files, files);
    f.assert_restores(&summary.id, "out").await;
}
