//! A round: the operations of the actors, and the conditions that must hold afterwards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use cloudron_backup::{
    BackupRequest, Identity, InitOptions, PrunePolicy, PruneReport, PruneRequest, Repository, Source,
    VerifyDepth, codes,
};
use cloudron_core::{BackupId, Cancel, Progress, Secret, Version};

use crate::common::sim::{Rng, SimStore};
use crate::common::{KEY, noise};
use crate::store::{Scheduler, TurnStore};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No actor sleeps or dies.
    Plain,
    /// Time passes in leaps, so that locks expire while their owners are running.
    Sleep,
    /// Like `Sleep`, with two prunes.
    TwoPrunes,
    /// An actor that dies repeats its operation.
    Killed,
    /// Listings are delayed by up to five minutes.
    Late,
}

/// The statistics of all rounds.
#[derive(Debug, Default)]
pub struct Stats {
    pub rounds: u64,
    pub backups: u64,
    pub prunes: u64,
    pub removed: u64,
    pub swept: u64,
    /// Sweeps prevented by a running backup.
    pub prevented: u64,
    pub rescued: u64,
    pub fenced: u64,
    pub aborted: u64,
    pub busy: u64,
    pub killed: u64,
}

const LATE: u64 = 300;
const LATE_GRACE: Duration = Duration::from_secs(1800);

struct World {
    kind: Kind,
    seed: u64,
    dir: tempfile::TempDir,
    store: SimStore,
    identity: Identity,
    scheduler: Scheduler,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    made: BTreeSet<BackupId>,
    /// Backups that may or may not be complete.
    perhaps: BTreeSet<BackupId>,
    removed: BTreeSet<BackupId>,
    stats: Stats,
}

/// The result of an operation.
enum End {
    Done,
    Killed,
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub fn round(kind: Kind, seed: u64, stats: &mut Stats) {
    let mut rng = Rng(seed.wrapping_mul(7919) ^ kind as u64);
    let actors = if kind == Kind::TwoPrunes { 4 } else { 3 };
    let store = SimStore::new(seed, if kind == Kind::Late { LATE } else { 0 });
    let direct = TurnStore { store: store.clone(), scheduler: None };
    let options = InitOptions { work_factor: Some(2) };
    let (_, identity) = block_on(Repository::init(Arc::new(direct), &Secret::new(KEY), options)).unwrap();
    let (dir, scheduler) = (tempfile::tempdir().unwrap(), Scheduler::new(actors));
    let world = Arc::new(World { kind, seed, dir, store, identity, scheduler, done: Mutex::default() });
    for actor in 0..2 {
        for n in 0..2 {
            world.backup(actor, n, &mut rng, false);
            world.store.pass(LATE);
        }
    }
    let threads: Vec<_> = (0..actors)
        .map(|actor| {
            let (world, rng) = (world.clone(), Rng(rng.below(u64::MAX)));
            std::thread::spawn(move || world.act(actor, rng))
        })
        .collect();
    world.scheduler.run(&mut rng, |rng| world.between(rng));
    threads.into_iter().for_each(|t| t.join().unwrap());
    world.check();
    stats.add(&world.done.lock().unwrap().stats);
}

impl Stats {
    fn add(&mut self, other: &Self) {
        self.rounds += 1;
        self.backups += other.backups;
        self.prunes += other.prunes;
        self.removed += other.removed;
        self.swept += other.swept;
        self.prevented += other.prevented;
        self.rescued += other.rescued;
        self.fenced += other.fenced;
        self.aborted += other.aborted;
        self.busy += other.busy;
        self.killed += other.killed;
    }
}

impl World {
    fn folder(&self, actor: usize, name: &str) -> PathBuf {
        self.dir.path().join(format!("{actor}")).join(name)
    }

    /// Lets time pass between two calls.
    fn between(&self, rng: &mut Rng) {
        match self.kind {
            Kind::Plain => {}
            Kind::Killed if rng.once_in(40) => self.store.pass(2400),
            Kind::Sleep | Kind::TwoPrunes if rng.once_in(15) => self.store.pass(2400),
            Kind::Late if rng.once_in(6) => self.store.pass(rng.below(1200)),
            _ => {}
        }
    }

    fn act(&self, actor: usize, mut rng: Rng) {
        // Ends the actor even if it panics, so that the others continue and the failure shows.
        struct Over<'a>(&'a World, usize);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.scheduler.over(self.1);
            }
        }
        let _over = Over(self, actor);
        let times = if actor < 2 { 2 } else { 3 };
        for n in 0..times {
            let dies = (self.kind == Kind::Killed && rng.once_in(2)).then(|| rng.below(40));
            self.scheduler.live(actor, dies);
            let end = if actor < 2 {
                self.backup(actor, 2 + n, &mut rng, true)
            } else {
                self.prune(actor, &mut rng)
            };
            if matches!(end, End::Killed) {
                self.done.lock().unwrap().stats.killed += 1;
            }
        }
    }

    fn repository(&self, actor: usize, turns: bool) -> Option<Repository> {
        let scheduler = turns.then(|| (self.scheduler.clone(), actor));
        let store = TurnStore { store: self.store.clone(), scheduler };
        block_on(Repository::open(Arc::new(store))).ok()
    }

    /// Makes a backup of some of the files that all machines have.
    fn backup(&self, actor: usize, n: u64, rng: &mut Rng, turns: bool) -> End {
        let source = self.folder(actor, "source");
        let _ = std::fs::remove_dir_all(&source);
        std::fs::create_dir_all(&source).unwrap();
        for file in 0..6 {
            if rng.once_in(2) {
                write(&source, file);
            }
        }
        let second = 1_790_000_000 + actor as u64 * 1000 + n;
        let id = BackupId::new(SystemTime::UNIX_EPOCH + Duration::from_secs(second), &Version::current());
        let mut request = BackupRequest::new(id.clone(), vec![Source::new("source", &source)]);
        if rng.once_in(2) {
            request = request.with_cache_dir(self.folder(actor, "cache"));
        }
        let Some(repository) = self.repository(actor, turns) else { return End::Killed };
        let keys = self.identity.writer_keys();
        let result = block_on(repository.backup(&keys, request, &Progress::none(), &Cancel::new()));
        let mut done = self.done.lock().unwrap();
        match result {
            Ok(_) => {
                done.stats.backups += 1;
                done.made.insert(id);
            }
            Err(e) if e.is(&codes::BACKUP_ABORTED) => done.stats.aborted += 1,
            Err(e) if e.is(&cloudron_core::codes::IO) && e.message().contains("killed") => {
                done.perhaps.insert(id);
                return End::Killed;
            }
            Err(e) => panic!("{:?} {}: {e:?}", self.kind, self.seed),
        }
        End::Done
    }

    fn prune(&self, actor: usize, rng: &mut Rng) -> End {
        let policy = PrunePolicy { last: Some(1 + u32::from(rng.once_in(3))), ..PrunePolicy::default() };
        let mut request = PruneRequest::new(policy);
        request.allow_removals = true;
        request.grace = if self.kind == Kind::Late { LATE_GRACE } else { Duration::ZERO };
        let Some(repository) = self.repository(actor, true) else { return End::Killed };
        let result = block_on(repository.prune(&self.identity, &request, &Progress::none(), &Cancel::new()));
        let mut done = self.done.lock().unwrap();
        match result {
            Ok(report) => done.take(&report),
            Err(e) if e.is(&codes::PRUNE_BUSY) => done.stats.busy += 1,
            // It slept so long that another prune removed its lock.
            Err(e) if e.is(&codes::OBJECT_MISSING) && e.message().contains("locks/prune-") => {
                done.stats.busy += 1;
            }
            Err(e) if e.is(&cloudron_core::codes::IO) && e.message().contains("killed") => {
                return End::Killed;
            }
            Err(e) => panic!("{:?} {}: {e:?}", self.kind, self.seed),
        }
        End::Done
    }

    /// Checks the conditions after all actors have finished.
    fn check(&self) {
        let context = format!("{:?} with CLOUDRON_TEST_SEED={}", self.kind, self.seed);
        self.store.pass(3 * 86400);
        let repository = self.repository(0, false).unwrap();
        let verify = || {
            let (progress, cancel) = (Progress::none(), Cancel::new());
            let report =
                block_on(repository.verify(VerifyDepth::Full, Some(&self.identity), &progress, &cancel))
                    .unwrap();
            assert!(report.is_good(), "{context}: {:?}", report.problems);
        };
        verify();
        let list = block_on(repository.snapshots()).unwrap();
        // A prune that was killed had recorded what it removes.
        let removed = |e: &cloudron_core::Error| e.to_string().contains("a prune removed it");
        assert!(list.unreadable.iter().all(|(_, e)| removed(e)), "{context}: {:?}", list.unreadable);
        let listed: BTreeSet<BackupId> = list.summaries.into_iter().map(|s| s.id).collect();
        let done = self.done.lock().unwrap();
        for id in &listed {
            assert!(done.made.contains(id) || done.perhaps.contains(id), "{context}: {id} is nobody's");
        }
        if self.kind == Kind::Plain {
            for id in done.made.difference(&done.removed) {
                assert!(listed.contains(id), "{context}: {id} is lost");
            }
        }
        drop(done);
        // Nothing stays that no prune would delete.
        let mut request = PruneRequest::default();
        request.grace = Duration::ZERO;
        let prune = |request: &PruneRequest| {
            let (progress, cancel) = (Progress::none(), Cancel::new());
            block_on(repository.prune(&self.identity, request, &progress, &cancel)).unwrap()
        };
        for _ in 0..2 {
            let report = prune(&request);
            assert!(report.damaged.is_empty(), "{context}: {report:?}");
            self.store.pass(3 * 86400);
        }
        verify();
        request.dry_run = true;
        let report = prune(&request);
        let rest = (report.packs_condemned, report.packs_deleted, report.orphans, report.bytes_freed_later);
        assert_eq!(rest, (0, 0, 0, 0), "{context}: {report:?}");
    }
}

impl Done {
    fn take(&mut self, report: &PruneReport) {
        self.removed.extend(report.removed.iter().cloned());
        self.stats.prunes += 1;
        self.stats.removed += report.removed.len() as u64;
        self.stats.swept += report.packs_deleted;
        self.stats.prevented += u64::from(!report.running.is_empty());
        self.stats.rescued += report.chunks_rescued;
        self.stats.fenced += report.fenced.len() as u64;
    }
}

/// Writes a file of one chunk, equal on every machine.
fn write(folder: &Path, number: u8) {
    static CONTENTS: std::sync::LazyLock<Vec<Vec<u8>>> =
        std::sync::LazyLock::new(|| (0..6).map(|n| noise(128 << 10, n)).collect());
    std::fs::write(folder.join(format!("{number}")), &CONTENTS[usize::from(number)]).unwrap();
}
