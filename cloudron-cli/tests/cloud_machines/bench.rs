//! The double of the cloud, the machine, a DNS host, and computers that work on them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cloudron_core::{Domain, Result, Secret};
use cloudron_dns::memory::MemoryProvider;
use cloudron_dns::{DnsProvider, Name, Observed, RecordSet, Scope, Ttl, Zone};
use cloudron_machine::clouds::{Credentials, InCloud, Provider, SshLogin};
use cloudron_machine::create::Dns;
use cloudron_machine::destroy::{DestroyOptions, Destroyed, Known};
use cloudron_machine::dns::DnsHost;
use cloudron_machine::{Account, CloudMachine, CreateRequest, Created, DnsRecords, Manager, StateDir};
use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::digitalocean;
use cloudron_testkit::clouds::hetzner::Hetzner as Double;
use cloudron_testkit::ec2_gate::Gate;
use cloudron_testkit::moto::Moto;

use crate::machine::Machine;
use crate::process::{Hurried, Stop, Stopping};

pub(crate) const FQDN: &str = "shop.example.com";
pub(crate) const TOKEN: &str = "canary-71c0e5-hetzner-token";
pub(crate) const KEY: &str = "canary0key7q2v9x4m1z8w5r3t6y0p2c4b6n8d1f";

/// The cloud that the computers use, if it is not Hetzner's.
pub(crate) enum Other {
    DigitalOcean(digitalocean::DigitalOcean),
    Ec2(Gate, #[allow(dead_code, reason = "it ends when it is dropped")] Moto),
}

/// An image of Ubuntu that moto has.
const IMAGE: &str = "ami-785db401";

pub(crate) struct Bench {
    pub(crate) cloud: Double,
    other: Option<Other>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) zone: Arc<MemoryProvider>,
    folder: tempfile::TempDir,
}

/// A computer.
#[derive(Clone)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

pub(crate) fn domain() -> Domain {
    Domain::parse_any(FQDN).unwrap()
}

/// The program without its debugging information, which is copied to machines.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<tempfile::TempDir> = OnceLock::new();
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let folder = PROGRAM.get_or_init(|| tempfile::tempdir().unwrap());
        let path = folder.path().join("cloudron");
        std::fs::copy(env!("CARGO_BIN_EXE_cloudron"), &path).unwrap();
        // Without `strip`, copying takes longer.
        let _ = std::process::Command::new("strip").arg(&path).status();
        path
    })
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The double keeps the machine, whose server would outlive the test.
        self.machine.off();
    }
}

impl Bench {
    /// None if OpenSSH is not installed.
    pub(crate) fn new() -> Option<Self> {
        let machine = Arc::new(Machine::start()?);
        let theirs = machine.clone();
        let cloud = Double::start(TOKEN, move |boot: &Boot| {
            theirs.boot(boot);
            Ipv4Addr::LOCALHOST
        });
        let zone = MemoryProvider::new().with_zone(Zone::new("1", Name::parse("example.com").unwrap()), []);
        let folder = tempfile::tempdir().unwrap();
        Some(Self { cloud, other: None, machine, stop: Arc::default(), zone: Arc::new(zone), folder })
    }

    /// As [`new`](Self::new), at DigitalOcean.
    pub(crate) fn at_digitalocean() -> Option<Self> {
        let mut bench = Self::new()?;
        let theirs = bench.machine.clone();
        let double = digitalocean::DigitalOcean::start(TOKEN, move |boot: &Boot| {
            theirs.boot(boot);
            Ipv4Addr::LOCALHOST
        });
        bench.other = Some(Other::DigitalOcean(double));
        Some(bench)
    }

    /// As [`new`](Self::new), at EC2. None if moto is not installed either.
    pub(crate) fn at_ec2() -> Option<Self> {
        let mut bench = Self::new()?;
        let moto = Moto::start()?;
        let gate = Gate::before(&moto);
        let theirs = bench.machine.clone();
        gate.boot(move |boot: &Boot| {
            theirs.boot(boot);
            Ipv4Addr::LOCALHOST
        });
        gate.parameter(IMAGE);
        bench.other = Some(Other::Ec2(gate, moto));
        Some(bench)
    }

    /// Returns the calls since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        let joined =
            |calls: Vec<(String, String)>| calls.into_iter().map(|(m, p)| format!("{m} {p}")).collect();
        match &self.other {
            None => joined(self.cloud.take_calls()),
            Some(Other::DigitalOcean(double)) => joined(double.take_calls()),
            Some(Other::Ec2(gate, _)) => gate.take_calls(),
        }
    }

    /// Asserts that the cloud has nothing of the machine, nor the zone.
    pub(crate) fn assert_gone(&self, what: &str) {
        if let Some(Other::DigitalOcean(double)) = &self.other {
            assert_eq!(double.resources(), [""; 0], "{what}");
        }
        let error = self.destroy_remains(&self.home("nobody")).unwrap_err();
        assert!(error.is(&cloudron_machine::codes::MACHINE_UNKNOWN), "{what}: {error:?}");
        assert_eq!(self.records(), [""; 0], "{what}");
    }

    pub(crate) fn home(&self, name: &str) -> Home {
        Home(self.folder.path().join(name))
    }

    pub(crate) fn account(&self) -> Account {
        let transport = || Arc::new(Stopping::new(self.stop.clone()));
        let account = match &self.other {
            None => return self.account_with(TOKEN),
            Some(Other::DigitalOcean(double)) => {
                let credentials = Credentials::Token(Secret::new(TOKEN));
                Account::new(Provider::DigitalOcean, credentials, transport()).at(double.endpoint())
            }
            Some(Other::Ec2(gate, _)) => {
                let credentials = Credentials::Keys {
                    access_key_id: "AKIDEXAMPLE".into(),
                    secret_access_key: Secret::new(TOKEN),
                    session_token: None,
                };
                Account::new(Provider::Ec2, credentials, transport())
                    .in_region("us-east-1")
                    .at(&gate.endpoint())
            }
        };
        account.unwrap().by(Arc::new(Hurried::default()))
    }

    pub(crate) fn account_with(&self, token: &str) -> Account {
        let transport = Arc::new(Stopping::new(self.stop.clone()));
        let account = Account::new(Provider::Hetzner, Credentials::Token(Secret::new(token)), transport);
        account.at(self.cloud.endpoint()).unwrap().by(Arc::new(Hurried::default()))
    }

    /// Returns the manager of a computer, without an account.
    pub(crate) fn stranger(&self, home: &Home) -> Manager {
        let state = StateDir::new(home.path().join("state"), home.path().join("data"));
        Manager::new(state)
            .installing(program())
            .waiting_for_dns(Duration::ZERO)
            .with_error_codes(cloudron_box::codes::ALL.iter().chain(cloudron_api::codes::ALL).copied())
    }

    pub(crate) fn manager(&self, home: &Home) -> Manager {
        self.stranger(home).with_account(self.account())
    }

    pub(crate) fn dns_host(&self) -> DnsHost {
        DnsHost::new("memory", self.zone.clone())
    }

    pub(crate) fn machine_wanted(&self) -> CloudMachine {
        let account = cloudron_dns::hosts::Account::default();
        CloudMachine {
            ssh_port: self.machine.sshd().port(),
            ssh_user: Some(self.machine.sshd().user()),
            keep_ssh_port: true,
            dns: Dns::Write {
                host: self.dns_host(),
                records: Box::new(DnsRecords::written("memory", Vec::new(), &account).unwrap()),
                name_servers: vec!["127.0.0.1:9".parse().unwrap()],
            },
            ..CloudMachine::new(self.machine.sshd().key_path())
        }
    }

    pub(crate) fn request(&self) -> CreateRequest {
        let mut request = CreateRequest::cloud(domain(), self.machine_wanted());
        request.backup_key = Some(Secret::new(KEY));
        request
    }

    /// Creates the machine; none if the process was killed at that call.
    pub(crate) fn create_until(
        &self,
        home: &Home,
        kill: (usize, bool),
        request: CreateRequest,
    ) -> Option<Result<Created>> {
        let manager = self.manager(home);
        self.stop.process(kill, async move { manager.creation(request)?.run().await })
    }

    /// Begins to create the machine in a process that is killed at a command on the machine.
    pub(crate) fn create_until_command(&self, home: &Home, command: &str, after: bool) {
        std::fs::write(self.machine.path("stop"), command).unwrap();
        if after {
            std::fs::write(self.machine.path("stop-after"), "").unwrap();
        }
        let (stop, stopped) = (self.stop.clone(), self.machine.path("stopped"));
        let watcher = std::thread::spawn(move || {
            while !stopped.exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            stop.die();
        });
        let created = self.create_until(home, (0, false), self.request());
        assert!(created.is_none(), "{command}: it was not killed: {created:?}");
        watcher.join().unwrap();
        for name in ["stop-after", "stopped"] {
            let _ = std::fs::remove_file(self.machine.path(name));
        }
    }

    pub(crate) fn create(&self, home: &Home) -> Result<Created> {
        self.create_until(home, (0, false), self.request()).unwrap()
    }

    pub(crate) fn resume(&self, home: &Home) -> Result<Created> {
        let mut request = self.request();
        request.resume = true;
        self.create_until(home, (0, false), request).unwrap()
    }

    pub(crate) fn list(&self, home: &Home) -> Vec<InCloud> {
        let manager = self.manager(home);
        self.stop.process((0, false), async move { manager.cloud_machines().await }).unwrap().unwrap()
    }

    /// Removes what the computer knows by the name.
    pub(crate) fn destroy_until(
        &self,
        home: &Home,
        kill: (usize, bool),
        options: DestroyOptions,
    ) -> Option<Result<Destroyed>> {
        let (manager, host) = (self.manager(home), self.dns_host());
        self.stop.process(kill, async move {
            let known = manager.known(&domain())?;
            let mut removals = Vec::new();
            for records in known.dns()? {
                removals.push(records.map(|r| manager.removal(&domain(), &r, Ok(host.clone()))).transpose()?);
            }
            match known {
                Known::Machine(machine, runs) => {
                    let records = removals.first().and_then(Option::as_ref);
                    manager.destroy(&machine, &runs, records, &options).await
                }
                Known::Runs(runs) => manager.destroy_unfinished(&runs, removals, &options).await,
                Known::Kept(kept) => manager.remove_kept(&kept).await.map(|()| Destroyed::default()),
            }
        })
    }

    pub(crate) fn destroy(&self, home: &Home) -> Result<Destroyed> {
        self.destroy_until(home, (0, false), DestroyOptions::default()).unwrap()
    }

    /// Removes the machine by its marks.
    pub(crate) fn destroy_remains_until(
        &self,
        home: &Home,
        kill: (usize, bool),
        options: DestroyOptions,
    ) -> Option<Result<Destroyed>> {
        let (manager, host) = (self.manager(home), self.dns_host());
        let sshd = self.machine.sshd();
        let login = SshLogin { key: Some(sshd.key_path()), user: Some(sshd.user()), port: sshd.port() };
        self.stop.process(kill, async move {
            let remains = manager.remains(&domain()).await?;
            manager.destroy_remains(&remains, &login, Some(&host), &options).await
        })
    }

    pub(crate) fn destroy_remains(&self, home: &Home) -> Result<Destroyed> {
        self.destroy_remains_until(home, (0, false), DestroyOptions::default()).unwrap()
    }

    /// Returns the records of the zone, as `my.example.com. A 127.0.0.1`.
    pub(crate) fn records(&self) -> Vec<String> {
        let zone = Zone::new("1", Name::parse("example.com").unwrap());
        let provider = self.zone.clone();
        let read = async move { provider.read(&zone, Scope::Zone).await.unwrap() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let shown = |set: &Observed| {
            let values = set.plain().unwrap().values().iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("{} {}", set.key(), values.join(","))
        };
        runtime.block_on(read).sets.values().map(shown).collect()
    }

    /// Sets a record at the DNS host, as somebody else would.
    pub(crate) fn set_record(&self, name: &str, rtype: &str, value: &str) {
        let (name, rtype) = (Name::parse(name).unwrap(), rtype.parse().unwrap());
        let set = RecordSet::parse(name, Ttl::DEFAULT, rtype, [value]).unwrap();
        self.zone.put("1", Observed::Plain(set));
    }

    pub(crate) fn assert_nothing(&self, what: &str) {
        assert_eq!(self.cloud.resources(), [""; 0], "{what}");
        assert_eq!(self.records(), [""; 0], "{what}");
    }
}

/// The records of the machine.
pub(crate) const RECORDS: [&str; 4] = [
    "*.shop.example.com. A 127.0.0.1",
    "*.shop.example.com. AAAA 2001:db8::1",
    "my.shop.example.com. A 127.0.0.1",
    "my.shop.example.com. AAAA 2001:db8::1",
];
