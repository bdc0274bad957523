//! The double, the machine, and computers that work on it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use cloudron_core::{Cancel, Clock, Progress, Result, RetryPolicy, Secret};
use cloudron_provision::cloud::{self, Cloud, Item, Login, Marks, OneTimeKey, Removal};
use cloudron_provision::digitalocean::{DigitalOcean, Settings};
use cloudron_provision::ssh::Auth;
use cloudron_provision::steps::Outputs;
use cloudron_provision::{CloudProvider, Context, Runner, Spec};
use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::digitalocean::DigitalOcean as Double;
use serde_json::{Value, json};

use crate::common::machine::Machine;
use crate::common::process::{Hurried, Stop, Stopping};

pub(crate) const FQDN: &str = "shop.example.com";
pub(crate) const TOKEN: &str = "canary-8b1f4e-digitalocean-token";

pub(crate) struct Bench {
    pub(crate) cloud: Double,
    pub(crate) machine: Arc<Machine>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) settings: Settings,
    /// True if a run is continued that was begun on another computer.
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

    pub(crate) fn provider(&self) -> DigitalOcean {
        self.try_provider().unwrap()
    }

    pub(crate) fn try_provider(&self) -> Result<DigitalOcean> {
        let (login, clock) = self.login();
        let transport = Arc::new(Stopping::new(self.stop.clone()));
        let provider = DigitalOcean::new(Secret::new(TOKEN), self.settings.clone(), login, transport, clock)?;
        Ok(provider.at(self.cloud.endpoint())?.adopting(self.adopt))
    }

    fn login(&self) -> (Login, Arc<dyn Clock>) {
        let clock: Arc<dyn Clock> = Arc::new(Hurried::default());
        let auth = Auth::key(self.folder.path().join("id").to_str().unwrap()).without_agent();
        let port = self.port.unwrap_or_else(|| self.machine.ssh().port());
        (Login::new(auth, clock.clone()).on_port(port), clock)
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
        self.run_until(home, None, kill)
    }

    fn run_until(&self, home: &Path, run: Option<String>, kill: (usize, bool)) -> Option<Result<Outputs>> {
        let (provider, home) = (Arc::new(self.provider()), home.to_owned());
        self.process(kill, async move {
            provider.preflight(FQDN).await?;
            let context = Context::new(FQDN, provider.clone()).clock(Arc::new(Hurried::default()));
            let (op, fqdn, provider_name) = ("create".into(), FQDN.into(), "digitalocean".into());
            let spec = Spec { op, fqdn, provider: provider_name, inputs: json!({}) };
            let runner = Runner::new(home).retries(RetryPolicy::attempts(3));
            match run {
                Some(run) => runner.take_over(&run, spec, &provider.steps(FQDN), &context).await,
                None => runner.run(spec, &provider.steps(FQDN), &context).await,
            }
        })
    }

    pub(crate) fn create(&self, home: &Path) -> Result<Outputs> {
        self.create_until(home, (0, false)).unwrap()
    }

    /// Continues the run on another computer, which learns its ID from the cloud; creates the machine if there is nothing.
    pub(crate) fn take_over(&mut self) -> Result<Outputs> {
        let run = self.inventory().first().map(|item| item.marks.run.clone());
        self.adopt = run.is_some();
        let outputs = self.run_until(self.home().path(), run, (0, false)).unwrap();
        self.adopt = false;
        outputs
    }

    pub(crate) fn inventory(&self) -> Vec<Item> {
        let provider = self.provider();
        self.process((0, false), async move { provider.inventory(FQDN).await }).unwrap().unwrap()
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

    /// Removes everything, with a provider that knows no settings.
    pub(crate) fn destroy_until(&self, kill: (usize, bool)) -> Option<Result<Vec<Removal>>> {
        let (login, clock) = self.login();
        let transport = Arc::new(Stopping::new(self.stop.clone()));
        let provider = DigitalOcean::existing(Secret::new(TOKEN), login, transport, clock);
        let provider = provider.at(self.cloud.endpoint()).unwrap();
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
        // Droplet, key, firewall, the tag of the machine and that of the host key; the address and its two tags.
        let count = if self.settings.reserved_ip { 8 } else { 5 };
        assert_eq!(resources.len(), count, "{what}: {resources:?}");
        let droplet = &self.cloud.objects("droplets")[0];
        let marks = marks(droplet);
        assert_eq!(marks.keys.one_time, None, "{what}");
        assert_eq!(marks.keys.lasting, Some(self.machine.ssh().host_key_fingerprint()), "{what}");
        let firewall = &self.cloud.objects("firewalls")[0];
        assert_eq!(firewall["tags"][0].as_str(), marks.machine_word().as_deref(), "{what}");
    }
}

/// The marks of a droplet.
pub(crate) fn marks(droplet: &Value) -> Marks {
    let tags = droplet["tags"].as_array().unwrap();
    Marks::from_words(tags.iter().map(|tag| tag.as_str().unwrap())).unwrap()
}
