//! Runs this test program again as a separate process that may be killed.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{
    BackupRequest, BackupStore, FsStore, Identity, ObjectMeta, Repository, RestoreRequest, Source, WriterKeys,
};
use cloudron_core::{BackupId, Cancel, Error, Progress, Result, Secret};
use serde::{Deserialize, Serialize};

const SPEC: &str = "CLOUDRON_SWEEP_CHILD";

/// The task of the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    pub store: PathBuf,
    pub id: BackupId,
    pub work: Work,
    /// Kills itself at this call to the store.
    pub die: Option<Die>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    Backup { source: PathBuf, cache: Option<PathBuf>, keys: Box<WriterKeys> },
    Restore { identity: Secret, target: PathBuf },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Die {
    pub at_call: u64,
    /// After the call instead of before it.
    pub after: bool,
}

/// The result: the code of its error, if there was one, and its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub code: Option<String>,
    pub text: String,
}

impl Outcome {
    pub fn is_ok(&self) -> bool {
        self.code.is_none()
    }
}

impl Spec {
    /// Returns the command that runs it, preceded by `before`, such as a tracer with its options.
    pub fn command(&self, folder: &Path, before: &[&str]) -> Command {
        self.command_of(&std::env::current_exe().unwrap(), folder, before)
    }

    pub fn command_of(&self, program: &Path, folder: &Path, before: &[&str]) -> Command {
        let spec = folder.join("spec");
        for old in ["outcome", "panic"] {
            let _ = std::fs::remove_file(folder.join(old));
        }
        std::fs::write(&spec, serde_json::to_vec(self).unwrap()).unwrap();
        let program = program.as_os_str();
        let mut command = match before {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(["child::runs_what_it_is_told", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(SPEC, spec).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// Returns the result that a process wrote before it ended, or `None` if it was killed.
pub fn outcome(folder: &Path, status: ExitStatus) -> Option<Outcome> {
    let panicked = std::fs::read_to_string(folder.join("panic")).ok();
    // The standard library panics when a folder cannot be closed.
    let panicked = panicked.filter(|text| !text.contains("error during closedir"));
    assert_eq!(panicked, None, "{status}");
    let text = std::fs::read(folder.join("outcome")).ok()?;
    serde_json::from_slice(&text).ok()
}

#[test]
fn runs_what_it_is_told() {
    let Some(path) = std::env::var_os(SPEC) else { return };
    let spec: Spec = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let panicked = Path::new(&path).with_file_name("panic");
    // A panic during another one must not hide the first.
    std::panic::set_hook(Box::new(move |info| {
        let before = std::fs::read_to_string(&panicked).unwrap_or_default();
        drop(std::fs::write(&panicked, format!("{before}{info}\n")));
    }));
    // Without a driver for I/O, which is woken through a `write` to an eventfd: a fault injected into every
    // `write` would hit that too, unlike a full disk, and the runtime would panic or hang.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let result = runtime.block_on(spec.run());
    let outcome = match &result {
        Ok(()) => Outcome { code: None, text: String::new() },
        Err(e) => Outcome { code: Some(e.code().name.to_owned()), text: e.to_string() },
    };
    let text = serde_json::to_vec(&outcome).unwrap();
    // A fault may hit this write; it happens once.
    let file = Path::new(&path).with_file_name("outcome");
    let _ = (0..3).any(|_| std::fs::write(&file, &text).is_ok());
    std::process::exit(if result.is_ok() { 0 } else { 1 });
}

impl Spec {
    async fn run(&self) -> Result<()> {
        let store: Arc<dyn BackupStore> = Arc::new(FsStore::new(&self.store)?);
        let repo = Repository::open(store.clone()).await?;
        let repo = match self.die {
            None => repo,
            Some(die) => {
                Repository::open(Arc::new(Dying { inner: store, die, calls: AtomicU64::new(0) })).await?
            }
        };
        match &self.work {
            Work::Backup { source, cache, keys } => {
                let mut request = BackupRequest::new(self.id.clone(), vec![Source::new("source", source)]);
                request.cache_dir.clone_from(cache);
                repo.backup(keys, request, &Progress::none(), &Cancel::new()).await.map(drop)
            }
            Work::Restore { identity, target } => {
                let identity = Identity::parse(identity)?;
                let request = RestoreRequest::under(target);
                let (progress, cancel) = (Progress::none(), Cancel::new());
                let done = repo.restore(&identity, &self.id, &request, &progress, &cancel).await?;
                let _ = done.complete()?;
                let same = repo.compare(&identity, &self.id, &request, &progress, &cancel).await?;
                same.identical().map(drop)
            }
        }
    }
}

/// A store that ends its process at a call.
#[derive(Debug)]
struct Dying {
    inner: Arc<dyn BackupStore>,
    die: Die,
    calls: AtomicU64,
}

impl Dying {
    async fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T> {
        let is_last = self.calls.fetch_add(1, Ordering::SeqCst) == self.die.at_call;
        if is_last && !self.die.after {
            die();
        }
        let result = call.await;
        if is_last {
            die();
        }
        result
    }
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

#[async_trait]
impl BackupStore for Dying {
    fn url(&self) -> String {
        self.inner.url()
    }
    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.call(self.inner.put(key, content)).await
    }
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.call(self.inner.put_new(key, content)).await
    }
    async fn put_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        self.call(self.inner.put_new_file(key, file)).await
    }
    async fn get(&self, key: &str) -> Result<Bytes> {
        self.call(self.inner.get(key)).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.call(self.inner.get_range(key, range)).await
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.call(self.inner.head(key)).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.call(self.inner.list(prefix)).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.call(self.inner.delete(key)).await
    }
}
