//! The double, the machine, and computers that work on it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use cloudron_core::{Cancel, Clock, Progress, Result, RetryPolicy, Secret};
use cloudron_provision::cloud::{self, Login, OneTimeKey, Removal};
use cloudron_provision::hetzner::{Hetzner, Settings};
use cloudron_provision::ssh::Auth;
use cloudron_provision::steps::Outputs;
use cloudron_provision::{CloudProvider, Context, Runner, Spec};
use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::hetzner::Hetzner as Double;
use serde_json::json;

use crate::common::machine::Machine;
use crate::common::process::{Hurried, Stop, Stopping};

pub(crate) const FQDN: &str = "shop.example.com";
pub(crate) const TOKEN: &str = "canary-3f9d2c-hetzner-token";

pub(crate) struct Bench {
    pub(crate) cloud: Double,
    pub(crate) machine: Arc<Machine>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) settings: Settings,
    /// True if an earlier run is resumed without its journal.
    pub(crate) adopt: bool,
    /// The port for SSH, if it is not the machine's.
    pub(crate) port: Option<u16>,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let stop = Arc::new(Stop::default());
        let machine = Machine::start(stop.clone());
        let theirs = machine.clone();
        let cloud = Double::start(TOKEN, move |boot: &Boot| {
            theirs.boot(boot);
            Ipv4Addr::LOCALHOST
        });
        let folder = tempfile::tempdir().unwrap();
        let key = OneTimeKey::generate();
        let path = folder.path().join("id");
        std::fs::write(&path, key.private().expose()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let settings = Settings::new(format!("{} me@work", key.public()));
        Self { cloud, machine, stop, settings, adopt: false, port: None, folder }
    }

    /// Returns a folder for the journals of another computer.
    pub(crate) fn home(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(self.folder.path()).unwrap()
    }

    pub(crate) fn provider(&self) -> Hetzner {
        self.try_provider().unwrap()
    }

    pub(crate) fn try_provider(&self) -> Result<Hetzner> {
        let transport = Arc::new(Stopping::new(self.stop.clone()));
        let clock: Arc<dyn Clock> = Arc::new(Hurried::default());
        let auth = Auth::key(self.folder.path().join("id").to_str().unwrap()).without_agent();
        let login =
            Login::new(auth, clock.clone()).on_port(self.port.unwrap_or_else(|| self.machine.ssh().port()));
        let token = Secret::new(TOKEN);
        let provider = Hetzner::new(token, self.settings.clone(), login, transport, clock)?;
        Ok(provider.at(self.cloud.endpoint())?.adopting(self.adopt))
    }

    /// Runs something in a process of its own; none if it was killed.
    pub(crate) fn process<T: Send + 'static>(
        &self,
        kill: (usize, bool),
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.stop.process(kill, work)
    }

    /// Creates the machine; none if the process was killed at that call.
    pub(crate) fn create_until(&self, home: &Path, kill: (usize, bool)) -> Option<Result<Outputs>> {
        let (provider, home) = (Arc::new(self.provider()), home.to_owned());
        self.process(kill, async move {
            provider.preflight(FQDN).await?;
            let context = Context::new(FQDN, provider.clone()).clock(Arc::new(Hurried::default()));
            let spec = Spec {
                op: "create".into(),
                fqdn: FQDN.into(),
                provider: "hetzner".into(),
                inputs: json!({}),
            };
            let runner = Runner::new(home).retries(RetryPolicy::attempts(3));
            runner.run(spec, &provider.steps(FQDN), &context).await
        })
    }

    pub(crate) fn create(&self, home: &Path) -> Result<Outputs> {
        self.create_until(home, (0, false)).unwrap()
    }

    /// Resumes the unfinished run whose journal is in the folder.
    pub(crate) fn resume(&self, home: &Path) -> Result<Outputs> {
        let (provider, home) = (Arc::new(self.provider()), home.to_owned());
        let resumed = self.process((0, false), async move {
            let runner = Runner::new(home).retries(RetryPolicy::attempts(3));
            let run = runner.unfinished(Some(FQDN))?.remove(0).run;
            let context = Context::new(FQDN, provider.clone()).clock(Arc::new(Hurried::default()));
            runner.resume(&run, &provider.steps(FQDN), &context).await
        });
        resumed.unwrap()
    }

    pub(crate) fn destroy_until(&self, kill: (usize, bool)) -> Option<Result<Vec<Removal>>> {
        let provider = self.provider();
        self.process(kill, async move {
            cloud::remove_all(&provider, FQDN, None, &Progress::none(), &Cancel::new()).await
        })
    }

    pub(crate) fn destroy(&self) -> Result<Vec<Removal>> {
        self.destroy_until((0, false)).unwrap()
    }

    /// Asserts that the machine is finished, once, and only its own host key is trusted.
    pub(crate) fn assert_finished(&self, what: &str) {
        let resources = self.cloud.resources();
        let count = if self.settings.network { 4 } else { 3 };
        assert_eq!(resources.len(), count, "{what}: {resources:?}");
        let server = &self.cloud.objects("servers")[0];
        let labels = server["labels"].as_object().unwrap();
        assert!(!labels.contains_key("cloudron-one-time-key"), "{what}: {labels:?}");
        let shown = self.machine.ssh().host_key_fingerprint();
        let marks =
            cloud::Marks::from_labels(&serde_json::from_value(server["labels"].clone()).unwrap()).unwrap();
        assert_eq!(marks.keys.lasting, Some(shown), "{what}");
    }
}
