//! A machine for tests: installed in a temporary folder, with its own clock.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use cloudron_backup::{Identity, InitOptions, Repository, open_store};
use cloudron_core::{Clock, Secret};
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::client::{Answered, Client};
use crate::api::install::Supervisor;
use crate::api::{Job, TokenAnswer};
use crate::install::{InstallAnswer, InstallRequest, install};
use crate::log::{Log, lines};
use crate::server::Server;
use crate::state::Tuning;
use crate::{Include, Layout, admin};

pub(super) const EMAIL: &str = "owner@example.com";
pub(super) const PASSWORD: &str = "canary-password-4711";

/// A clock set by hand. Both times advance together, and the time of day can be offset.
#[derive(Debug)]
pub(super) struct Clockwork(AtomicU64, AtomicI64);

impl Clockwork {
    fn new() -> Arc<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Arc::new(Self(AtomicU64::new(u64::try_from(now.as_millis()).unwrap()), AtomicI64::new(0)))
    }

    /// Sets the offset of the time of day, in seconds.
    pub(super) fn set_off(&self, seconds: i64) {
        self.1.store(seconds * 1000, Ordering::SeqCst);
    }

    pub(super) fn forward(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Clock for Clockwork {
    fn now(&self) -> SystemTime {
        let millis = self.0.load(Ordering::SeqCst).saturating_add_signed(self.1.load(Ordering::SeqCst));
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, time: Duration) {
        self.forward(time);
    }
}

pub(super) struct Machine {
    pub(super) home: tempfile::TempDir,
    pub(super) layout: Layout,
    pub(super) installed: InstallAnswer,
    pub(super) identity: Identity,
    pub(super) clock: Arc<Clockwork>,
    log: Log,
    pub(super) server: Option<Server>,
    pub(super) hook_limit: Duration,
}

pub(super) fn request(store: &Path, identity: &Identity) -> InstallRequest {
    InstallRequest {
        fqdn: cloudron_core::Domain::parse_any("demo.localhost").unwrap(),
        provider: "local".into(),
        run: "run-1".into(),
        supervisor: Supervisor::Detached,
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        store: format!("file://{}", store.display()),
        writer_keys: Secret::new(serde_json::to_string(&identity.writer_keys()).unwrap()),
        repository: Vec::new(),
        repository_id: None,
        store_access: None,
        includes: Vec::new(),
        backup_hour: Some(3),
    }
}

/// The logs of all machines: a process has one subscriber.
static LOGS: Mutex<Vec<Log>> = Mutex::new(Vec::new());

/// Writes to the logs of all machines.
struct AllLogs;

impl Write for AllLogs {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        LOGS.lock().unwrap().iter_mut().try_for_each(|log| log.write_all(line)).map(|()| line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Has all events of this process, those for people who look for a fault included, written to this log too.
fn logging() -> Log {
    let log = Log::new();
    LOGS.lock().unwrap().push(log.clone());
    let subscriber = tracing_subscriber::registry().with(EnvFilter::new("debug")).with(lines(|| AllLogs));
    // It stays the one that the first machine set.
    let _ = tracing::subscriber::set_global_default(subscriber);
    log
}

impl Machine {
    /// Returns a machine with a running server, without an owner and without a repository.
    pub(super) async fn new() -> Self {
        Self::made(false, Vec::new()).await
    }

    /// Returns a machine with a repository for backups, and included folders below its home.
    pub(super) async fn with_repository(includes: Vec<Include>) -> Self {
        Self::made(true, includes).await
    }

    async fn made(repository: bool, includes: Vec<Include>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store");
        let identity = match repository {
            true => {
                let store = open_store(store.to_str().unwrap()).unwrap();
                let options = InitOptions { work_factor: Some(2) };
                Repository::init(store, &Secret::new("canary backup key"), options).await.unwrap().1
            }
            false => Identity::generate(),
        };
        let layout = Layout::rooted(home.path().join("machine"));
        let mut request = request(&store, &identity);
        request.includes = includes
            .into_iter()
            .map(|i| Include { path: home.path().join(&i.path), ..i })
            .inspect(|i| std::fs::create_dir_all(&i.path).unwrap())
            .collect();
        let installed = install(&layout, &request).unwrap();
        let (clock, hook_limit) = (Clockwork::new(), Duration::from_secs(20));
        let mut machine =
            Self { home, layout, installed, identity, clock, log: logging(), server: None, hook_limit };
        machine.start().await;
        machine
    }

    pub(super) async fn start(&mut self) {
        let tuning = Tuning {
            clock: self.clock.clone(),
            hook_limit: self.hook_limit,
            request_limit: Duration::from_secs(20),
            tick: Duration::from_millis(100),
        };
        self.server = Some(Server::start(&self.layout, &self.log, tuning).await.unwrap());
    }

    pub(super) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns a client without a token.
    pub(super) fn stranger(&self) -> Client {
        let address = self.server.as_ref().unwrap().app.settings.listen[0];
        Client { address, ca_pem: self.installed.ca_pem.clone(), token: None, from: None }
    }

    /// Returns the owner of the machine, with a token made on it.
    pub(super) fn admin(&self) -> Client {
        let token = admin::mint_token(&self.layout, "cli", Duration::from_secs(3600)).unwrap();
        self.stranger().with(&token)
    }

    /// Does the first-time setup. Returns the new owner.
    pub(super) async fn activate(&self) -> Client {
        let setup = self.installed.setup_token.clone().unwrap();
        let body = json!({"email": EMAIL, "password": PASSWORD});
        let answer = self.stranger().with(&setup).post("/api/v1/cloudron/activate", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.stranger().with(&answer.json::<TokenAnswer>().token)
    }
}

/// Logs in from a loopback address.
pub(super) async fn log_in_from(client: &Client, from: [u8; 4], name: &str, password: &str) -> Answered {
    let client = Client { from: Some(from.into()), ..client.clone() };
    client.post("/api/v1/developer/login", json!({"username": name, "password": password})).await
}

/// Requests a backup and waits until its job ends.
pub(super) async fn back_up(client: &Client) -> Job {
    let answer = client.post("/api/v1/backups", json!({})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    over(client, &answer.json::<Job>().id).await
}

/// Waits until the job ends, and returns it.
pub(super) async fn over(client: &Client, id: &str) -> Job {
    for _ in 0..1500 {
        let answer = client.get(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let job: Job = answer.json();
        if job.state.is_over() {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the job did not end")
}
