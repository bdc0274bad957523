//! The gate, the machine, and computers that work on it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use cloudron_core::{Cancel, Clock, Progress, Result, RetryPolicy, Secret};
use cloudron_http::{HttpOptions, ReqwestTransport};
use cloudron_provision::cloud::{self, Cloud, Login, Marks, OneTimeKey, Removal};
use cloudron_provision::ec2::*;
use cloudron_provision::ssh::Auth;
use cloudron_provision::steps::Outputs;
use cloudron_provision::{CloudProvider, Context, Runner, Spec};
use cloudron_testkit::clouds::Boot;
use cloudron_testkit::ec2_gate::Gate;
use cloudron_testkit::moto::Moto;
use serde_json::json;

use crate::common::machine::Machine;
use crate::common::process::{Hurried, Stop, Stopping};

pub(crate) const FQDN: &str = "shop.example.com";
pub(crate) const SECRET: &str = "canary-3f9d2c-secret-access-key";
pub(crate) const SESSION: &str = "canary-77aa1e-session-token";
/// An image of Ubuntu that moto has.
pub(crate) const IMAGE: &str = "ami-785db401";

pub(crate) struct Bench {
    pub(crate) gate: Gate,
    pub(crate) moto: Moto,
    pub(crate) machine: Arc<Machine>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) settings: Settings,
    /// True if an earlier run is resumed without its journal.
    pub(crate) adopt: bool,
    /// The port for SSH, if it is not the machine's.
    pub(crate) port: Option<u16>,
    /// What there was in the beginning.
    before: Vec<String>,
    folder: tempfile::TempDir,
}

impl Bench {
    /// `None` if moto is not installed.
    pub(crate) fn new() -> Option<Self> {
        let moto = Moto::start()?;
        let gate = Gate::before(&moto);
        let stop = Arc::new(Stop::default());
        let machine = Machine::start(stop.clone());
        let theirs = machine.clone();
        gate.boot(move |boot: &Boot| {
            theirs.boot(boot);
            Ipv4Addr::LOCALHOST
        });
        gate.parameter(IMAGE);
        let folder = tempfile::tempdir().unwrap();
        let key = OneTimeKey::generate();
        let path = folder.path().join("id");
        std::fs::write(&path, key.private().expose()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let settings = Settings::new("us-east-1", format!("{} me@work", key.public()));
        let (before, adopt, port) = (Vec::new(), false, None);
        let mut bench = Self { gate, moto, machine, stop, settings, adopt, port, before, folder };
        bench.before = bench.everything();
        Some(bench)
    }

    /// Returns a folder for the journals of another computer.
    pub(crate) fn home(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(self.folder.path()).unwrap()
    }

    pub(crate) fn provider(&self) -> Ec2 {
        self.try_provider().unwrap()
    }

    pub(crate) fn try_provider(&self) -> Result<Ec2> {
        let transport = Arc::new(Stopping::new(self.stop.clone()));
        let clock: Arc<dyn Clock> = Arc::new(Hurried::default());
        let auth = Auth::key(self.folder.path().join("id").to_str().unwrap()).without_agent();
        let login =
            Login::new(auth, clock.clone()).on_port(self.port.unwrap_or_else(|| self.machine.ssh().port()));
        let provider = Ec2::new(credentials(), self.settings.clone(), login, transport, clock)?;
        let endpoint = self.gate.endpoint();
        Ok(provider
            .at(Service::Ec2, &endpoint)?
            .at(Service::Ssm, &endpoint)?
            .at(Service::Iam, &endpoint)?
            .adopting(self.adopt))
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
            runner(&home).run(spec(), &provider.steps(FQDN), &context).await
        })
    }

    pub(crate) fn create(&self, home: &Path) -> Result<Outputs> {
        self.create_until(home, (0, false)).unwrap()
    }

    /// Continues on another computer, which has no journal: the run is found by its marks.
    pub(crate) fn take_over(&self) -> Result<Outputs> {
        let (provider, home) = (Arc::new(self.provider().adopting(true)), self.home());
        let outcome = self.process((0, false), async move {
            let found = provider.inventory(FQDN).await?;
            provider.preflight(FQDN).await?;
            let context = Context::new(FQDN, provider.clone()).clock(Arc::new(Hurried::default()));
            let steps = provider.steps(FQDN);
            match found.first() {
                Some(item) => runner(home.path()).take_over(&item.marks.run, spec(), &steps, &context).await,
                None => runner(home.path()).run(spec(), &steps, &context).await,
            }
        });
        outcome.unwrap()
    }

    /// Resumes the unfinished run whose journal is in the folder.
    pub(crate) fn resume(&self, home: &Path) -> Result<Outputs> {
        let (provider, home) = (Arc::new(self.provider()), home.to_owned());
        let resumed = self.process((0, false), async move {
            let runner = runner(&home);
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

    /// Asks moto itself.
    pub(crate) fn ask<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        work: impl FnOnce(Client) -> F,
    ) -> T {
        let transport = Arc::new(ReqwestTransport::new(HttpOptions::default()).unwrap());
        let region = Region::parse("us-east-1").unwrap();
        let mut client = Client::new(region, credentials(), transport, Arc::new(Hurried::default()));
        client.set_endpoint(Service::Ec2, &self.moto.endpoint()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work(client))
    }

    fn everything(&self) -> Vec<String> {
        let mut all = self.ask(|client| async move { everything(&client).await.unwrap() });
        all.extend(self.of_iam("ListRoles", "RoleName"));
        all.extend(self.of_iam("ListInstanceProfiles", "InstanceProfileName"));
        all
    }

    /// Returns the texts of an element in a list of moto's IAM.
    pub(crate) fn of_iam(&self, list: &str, element: &str) -> Vec<String> {
        let form = ["Content-Type: application/x-www-form-urlencoded"];
        let body = format!("Action={list}&Version=2010-05-08");
        let answer = self.moto.request("iam", "POST", "/", &form, &body);
        let opening = format!("<{element}>");
        let parts = answer.split(&opening).skip(1);
        parts.map(|part| format!("{element} {}", part.split('<').next().unwrap())).collect()
    }

    /// Lets the machine have a role of its own.
    pub(crate) fn with_role(&mut self) {
        self.settings.server_role = Some(BucketPlace { bucket: "backups".into(), prefix: FQDN.into() });
    }

    /// Returns what there is beside what there was.
    pub(crate) fn resources(&self) -> Vec<String> {
        let now = self.everything();
        now.into_iter().filter(|resource| !self.before.contains(resource)).collect()
    }

    /// Returns the instances that exist.
    pub(crate) fn instances(&self) -> Vec<Instance> {
        self.ask(|client| async move { instances(&client).await.unwrap() })
    }

    /// Asserts that the machine is finished, once, and only its own host key is trusted.
    pub(crate) fn assert_finished(&self, what: &str) {
        let resources = self.resources();
        // The role and its profile.
        let role = if self.settings.server_role.is_some() { 2 } else { 0 };
        let count =
            role + 3 + if self.settings.own_vpc { 3 } else { 0 } + usize::from(self.settings.elastic_ip);
        assert_eq!(resources.len(), count, "{what}: {resources:?}");
        let instances = self.instances();
        let tags = instances[0].tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        let marks = Marks::from_tags(&tags).unwrap();
        assert_eq!(marks.keys.one_time, None, "{what}: {tags:?}");
        assert_eq!(marks.keys.lasting, Some(self.machine.ssh().host_key_fingerprint()), "{what}");
    }
}

fn runner(home: &Path) -> Runner {
    Runner::new(home).retries(RetryPolicy::attempts(3))
}

fn spec() -> Spec {
    Spec { op: "create".into(), fqdn: FQDN.into(), provider: "ec2".into(), inputs: json!({}) }
}

pub(crate) fn credentials() -> Credentials {
    Credentials {
        session_token: Some(Secret::new(SESSION)),
        ..Credentials::new("AKIDEXAMPLE", Secret::new(SECRET))
    }
}

async fn instances(client: &Client) -> Result<Vec<Instance>, Failure> {
    let found = client.all(&DescribeInstances::default()).await?;
    let instances = found.into_iter().flat_map(|found| found.instances.item);
    Ok(instances.filter(|instance| instance.instance_state.name != "terminated").collect())
}

/// Lists everything but what an account has from the beginning.
async fn everything(client: &Client) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for instance in instances(client).await? {
        all.push(format!("instance {}", instance.instance_id));
    }
    for group in client.all(&DescribeSecurityGroups::default()).await? {
        if group.group_name != "default" {
            all.push(format!("security-group {}", group.group_name));
        }
    }
    for key in client.call(&DescribeKeyPairs::default()).await?.keys.item {
        all.push(format!("key-pair {}", key.key_name));
    }
    for address in client.call(&DescribeAddresses::default()).await?.addresses.item {
        all.push(format!("elastic-ip {}", address.allocation_id));
    }
    for vpc in client.all(&DescribeVpcs::default()).await? {
        all.push(format!("vpc {}", vpc.vpc_id));
    }
    for subnet in client.all(&DescribeSubnets::default()).await? {
        all.push(format!("subnet {}", subnet.subnet_id));
    }
    for gateway in client.all(&DescribeInternetGateways::default()).await? {
        all.push(format!("internet-gateway {}", gateway.internet_gateway_id));
    }
    all.sort();
    Ok(all)
}
