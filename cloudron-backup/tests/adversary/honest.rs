//! The honest side: an owner, writers, their backups, and operations on the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloudron_backup::{
    BackupRequest, Identity, InitOptions, Repository, RestoreRequest, Source, WriterKeys, WriterLimits,
};
use cloudron_core::Event;
use cloudron_core::{BackupId, Cancel, Progress, Result, Secret, Version};

use crate::adversary::{Adversary, Rights};
use crate::common::sim::{Rng, SimStore};
use crate::common::{KEY, noise};
use crate::memory;
use crate::store::{Hostile, Meter};

/// The contents of files: small ones, and some that have their own chunks.
static CONTENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    [200, 3_000, 70_000, 128 << 10, 129 << 10, 300_000]
        .iter()
        .zip(0..)
        .map(|(len, n)| noise(*len, n))
        .collect()
});

/// A machine that makes backups.
pub struct Writer {
    pub name: &'static str,
    pub keys: WriterKeys,
}

/// A backup that an honest machine made: its writer and its files, by the number of their content.
#[derive(Debug, Clone)]
pub struct Backup {
    pub id: BackupId,
    pub writer: usize,
    pub files: BTreeMap<String, usize>,
    pub removed: bool,
}

pub struct World {
    pub context: String,
    pub sim: SimStore,
    pub adversary: Arc<Mutex<Adversary>>,
    pub identity: Identity,
    /// The id of the repository.
    id: String,
    pub key: Secret,
    pub writers: Vec<Writer>,
    pub backups: Vec<Backup>,
    /// All warnings and errors of honest operations.
    pub said: Arc<Mutex<String>>,
    dir: tempfile::TempDir,
    meter: Arc<Meter>,
}

/// Returns the keys of a writer for that domain.
fn writer_keys(sim: &SimStore, identity: &Identity, domain: &str) -> WriterKeys {
    let store = Hostile { sim: sim.clone(), adversary: None, meter: Arc::default() };
    block_on(async {
        let repository = Repository::open(Arc::new(store)).await?;
        repository.add_writer(identity, domain, &WriterLimits::of_domain(domain)).await
    })
    .unwrap()
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Returns the processor time used by the process, in seconds, which does not depend on other load.
fn processor_seconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, proc_pid_stat(5), in ticks of 10 ms.
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() / 100
}

/// Creates a repository in a store without an adversary.
pub fn init(sim: &SimStore) -> Identity {
    let store = Hostile { sim: sim.clone(), adversary: None, meter: Arc::default() };
    let options = InitOptions { work_factor: Some(2) };
    block_on(Repository::init(Arc::new(store), &Secret::new(KEY), options)).unwrap().1
}

impl World {
    pub fn new(context: String, sim: SimStore, identity: Identity, adversary: Adversary) -> Self {
        let writers =
            ["a.example", "b.example"].map(|name| Writer { name, keys: writer_keys(&sim, &identity, name) });
        let store = Hostile { sim: sim.clone(), adversary: None, meter: Arc::default() };
        let id = block_on(Repository::open(Arc::new(store))).unwrap().id().to_owned();
        Self {
            context,
            id,
            sim,
            adversary: Arc::new(Mutex::new(adversary)),
            identity,
            key: Secret::new(KEY),
            writers: writers.into(),
            backups: Vec::new(),
            said: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
            meter: Arc::default(),
        }
    }

    pub fn adversary(&self) -> MutexGuard<'_, Adversary> {
        self.adversary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Panics with the history of the round.
    #[track_caller]
    pub fn fail(&self, text: &str) -> ! {
        let done = self.adversary().done.join("\n  ");
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        panic!("{}: {text}\nthe adversary did:\n  {done}\nhonest runs said:\n{said}", self.context);
    }

    #[track_caller]
    pub fn check(&self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.fail(&text());
        }
    }

    fn store(&self, sim: &SimStore) -> Arc<Hostile> {
        let adversary = Some(self.adversary.clone());
        Arc::new(Hostile { sim: sim.clone(), adversary, meter: self.meter.clone() })
    }

    fn progress(&self) -> Progress {
        let said = self.said.clone();
        Progress::to(move |event| {
            if let Event::Warning { text } = event {
                said.lock().unwrap_or_else(PoisonError::into_inner).push_str(&format!("warning: {text}\n"));
            }
        })
    }

    /// Runs an operation that must end within limits on time, memory and requests.
    #[track_caller]
    pub fn run<T>(
        &self,
        what: &str,
        work: impl AsyncFnOnce(Repository, Progress, Cancel) -> Result<T>,
    ) -> Result<T> {
        self.run_on(&self.sim, what, work)
    }

    #[track_caller]
    fn run_on<T>(
        &self,
        sim: &SimStore,
        what: &str,
        work: impl AsyncFnOnce(Repository, Progress, Cancel) -> Result<T>,
    ) -> Result<T> {
        self.meter.taken();
        let (store, progress) = (self.store(sim), self.progress());
        let begun = processor_seconds();
        memory::about(format!("\n{}: too much memory for {what}: ", self.context));
        let (memory, result) = memory::peak(|| {
            block_on(async { work(Repository::open(store).await?, progress, Cancel::new()).await })
        });
        let (calls, read) = self.meter.taken();
        // Objects larger than any of their kind need not be read.
        let objects = sim.list("");
        let stored: u64 = objects.iter().map(|o| o.size).filter(|size| *size < 32 << 20).sum();
        let objects = objects.len() as u64;
        let within = |what: &str, found: u64, most: u64| {
            self.check(found <= most, || format!("{what}: {found} is more than {most}"));
        };
        within(&format!("requests of {what} of {objects} objects"), calls, 300 + 12 * objects);
        within(&format!("bytes read by {what} of {stored}"), read, (16 << 20) + 10 * stored);
        within(&format!("memory of {what} of {stored} bytes"), memory as u64, (256 << 20) + 4 * stored);
        within(&format!("seconds of {what}"), processor_seconds() - begun, 60);
        if let Err(e) = &result {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&format!("{what}: {e:?}\n"));
        }
        result
    }

    /// Writes the files of a backup: about half of all contents.
    fn files(&self, rng: &mut Rng, source: &Path) -> BTreeMap<String, usize> {
        let _ = std::fs::remove_dir_all(source);
        std::fs::create_dir_all(source).unwrap();
        let mut files = BTreeMap::new();
        for number in 0..CONTENTS.len() {
            if rng.once_in(2) {
                let name = format!("{}", rng.below(8));
                std::fs::write(source.join(&name), &CONTENTS[number]).unwrap();
                files.insert(name, number);
            }
        }
        files
    }

    fn source(&self, writer: usize) -> PathBuf {
        self.dir.path().join(format!("{writer}/source"))
    }

    /// Makes a backup. On error, none was made.
    pub fn backup(&mut self, writer: usize, rng: &mut Rng) -> Result<BackupId> {
        self.sim.pass(2);
        let id = BackupId::new(self.sim.now(), &Version::current());
        self.adversary().expected = vec![id.to_string()];
        let files = self.files(rng, &self.source(writer));
        let mut request = BackupRequest::new(id, vec![Source::new("source", self.source(writer))]);
        request.fqdn = self.writers[writer].name.to_owned();
        if rng.once_in(2) {
            request = request.with_cache_dir(self.dir.path().join(format!("{writer}/cache")));
        }
        let keys = self.writers[writer].keys.clone();
        let made = self.run("create", async |repository, progress, cancel| {
            repository.backup(&keys, request, &progress, &cancel).await
        })?;
        self.backups.push(Backup { id: made.id.clone(), writer, files, removed: false });
        Ok(made.id)
    }

    /// Restores a backup and returns what is wrong, if anything. Panics if it silently restored different content.
    pub fn restored(&self, backup: &Backup) -> Result<(), String> {
        self.restored_from(&self.sim, backup)
    }

    pub fn restored_from(&self, sim: &SimStore, backup: &Backup) -> Result<(), String> {
        let target = self.dir.path().join("restored");
        let _ = std::fs::remove_dir_all(&target);
        let request = RestoreRequest::under(&target);
        let identity = self.identity.clone();
        let report = self.run_on(sim, "restore", async |repository, progress, cancel| {
            repository.restore(&identity, &backup.id, &request, &progress, &cancel).await
        });
        let report = report.map_err(|e| format!("{e:?}"))?;
        if !report.is_complete() {
            return Err(format!("not restored: {:?}", report.failed));
        }
        let folder = target.join(self.source(backup.writer).strip_prefix("/").unwrap());
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            found.insert(name, std::fs::read(entry.path()).unwrap_or_default());
        }
        let same = found.len() == backup.files.len()
            && backup.files.iter().all(|(name, number)| found.get(name) == Some(&CONTENTS[*number]));
        self.check(same, || format!("{} was restored as something else, without a word", backup.id));
        Ok(())
    }

    /// Copies the repository into another store, and returns it.
    pub fn copied(&self, seed: u64) -> Result<SimStore> {
        let other = SimStore::since(1_760_000_000, seed, 0);
        let target = self.store(&other);
        self.run("copy", async |repository, progress, cancel| {
            repository.copy_to(target, &progress, &cancel).await.map(drop)
        })?;
        Ok(other)
    }

    /// Changes the backup key.
    pub fn change_key(&mut self, rng: &mut Rng) -> Result<()> {
        let new = Secret::new(format!("another backup key {}", rng.below(1000)));
        let old = self.key.clone();
        let next = new.clone();
        self.run("key change", async |repository, _, _| {
            repository.change_backup_key(&old, &next, Some(2)).await.map(drop)
        })?;
        self.key = new;
        Ok(())
    }

    /// Opens the repository with the backup key. Who can overwrite may put another repository of the same backup key in
    /// its place, which says another id.
    pub fn unlock(&self) -> Result<()> {
        let key = self.key.clone();
        let (id, opened) = self.run("unlock", async |repository, _, _| {
            Ok((repository.id().to_owned(), repository.unlock(&key).await?))
        })?;
        let ours = opened.recipient() == self.identity.recipient();
        let swapped = self.adversary().rights == Rights::Overwrite && id != self.id;
        self.check(ours || swapped, || "another identity".to_owned());
        Ok(())
    }

    /// Lets time pass, up to `days` days.
    pub fn pass(&self, rng: &mut Rng, days: u64) {
        self.sim.pass(rng.below(days * 86400));
    }

    /// Returns the backups that must exist.
    pub fn alive(&self) -> Vec<Backup> {
        self.backups.iter().filter(|b| !b.removed).cloned().collect()
    }
}

/// The grace period of prunes.
pub const GRACE: Duration = Duration::from_secs(86400);
