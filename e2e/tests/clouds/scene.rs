//! An account at a cloud whose machines are Debian servers, a bucket, and computers with the program.

use cloudron_e2e::{Cloudron, Datacenter, Run, Server};
use cloudron_testkit::canary::Canary;
use cloudron_testkit::clouds::digitalocean::DigitalOcean;
use cloudron_testkit::clouds::hetzner::Hetzner;
use cloudron_testkit::ec2_gate::Gate;
use cloudron_testkit::moto::Moto;
use cloudron_testkit::proxy::Proxy;
use cloudron_testkit::sshd;

pub(crate) const DOMAIN: &str = "example.com";
/// The folder of the machine that is backed up besides its own.
pub(crate) const FILES: &str = "/srv/files";

const BACKUP_KEY: &str = "kanari-backup-key-41c7";
/// The token of the account, or the secret of its key.
const ACCOUNT: &str = "kanari-account-secret-42";
/// The owner's secret for the bucket, and the machine's own.
const OWNERS: &str = "kanari-owners-secret-43";
const MACHINES: &str = "kanari-machines-secret-44";
/// An image of Debian that moto has.
const IMAGE: &str = "ami-785db401";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloud {
    Hetzner,
    DigitalOcean,
    Ec2,
}

enum Double {
    Hetzner(Hetzner),
    DigitalOcean(DigitalOcean),
    Ec2(Gate),
}

pub(crate) struct Scene {
    cloud: Cloud,
    double: Double,
    moto: Moto,
    service: Proxy,
    pub(crate) datacenter: Datacenter,
    keys: tempfile::TempDir,
}

impl Scene {
    /// Starts the cloud. None if moto is not installed.
    pub(crate) fn new(cloud: Cloud) -> Option<Self> {
        let (moto, datacenter) = (Moto::start()?, Datacenter::new());
        moto.request("s3", "PUT", "/bucket", &[], "");
        // The machines and the laptop reach it at the same address.
        let here = format!("{}:0", Server::boot("gateway").gateway()).parse().unwrap();
        let service = moto.endpoint().trim_start_matches("http://").parse().unwrap();
        let service = Proxy::start_at(here, service).unwrap();
        let double = match cloud {
            Cloud::Hetzner => Double::Hetzner(Hetzner::start(ACCOUNT, datacenter.clone())),
            Cloud::DigitalOcean => Double::DigitalOcean(DigitalOcean::start(ACCOUNT, datacenter.clone())),
            Cloud::Ec2 => {
                let gate = Gate::before(&moto);
                gate.boot(datacenter.clone());
                gate.parameter(IMAGE);
                Double::Ec2(gate)
            }
        };
        let keys = tempfile::tempdir().unwrap();
        sshd::keygen(&keys.path().join("id_ed25519"), "", "e2e");
        Some(Self { cloud, double, moto, service, datacenter, keys })
    }

    pub(crate) fn provider(&self) -> &'static str {
        match self.cloud {
            Cloud::Hetzner => "hetzner",
            Cloud::DigitalOcean => "digitalocean",
            Cloud::Ec2 => "ec2",
        }
    }

    /// Returns a computer that has the keys and the credentials, and has never seen the machine.
    pub(crate) fn laptop(&self) -> Laptop<'_> {
        let mut program = Cloudron::new();
        program.set("AWS_ENDPOINT_URL_S3", &self.bucket_address());
        if self.cloud != Cloud::Ec2 {
            program.set("AWS_ACCESS_KEY_ID", "owner");
            program.set("AWS_SECRET_ACCESS_KEY", OWNERS);
        }
        let secrets = [("account", ACCOUNT), ("backup-key", BACKUP_KEY), ("machine", MACHINES)];
        let [account, key, machines] = secrets.map(|(name, secret)| program.secret(name, secret));
        Laptop { scene: self, program, account, key, machines }
    }

    fn bucket_address(&self) -> String {
        format!("http://{}", self.service.address())
    }

    /// Returns true if the cloud has booted a machine.
    pub(crate) fn has_a_machine(&self) -> bool {
        !self.datacenter.servers().is_empty()
    }

    /// Returns true if the account has anything of the machine, as the double knows it.
    pub(crate) fn has_resources(&self) -> bool {
        match &self.double {
            Double::Hetzner(double) => !double.resources().is_empty(),
            Double::DigitalOcean(double) => !double.resources().is_empty(),
            Double::Ec2(_) => !self.datacenter.servers().is_empty(),
        }
    }

    /// Asserts that nothing is left at the cloud: by the double, and for a computer that looks for the marks.
    #[track_caller]
    pub(crate) fn assert_gone(&self, what: &str) {
        assert!(!self.has_resources() && self.datacenter.servers().is_empty(), "{what}");
        let laptop = self.laptop();
        let run = laptop.try_account(&["machine", "destroy", DOMAIN, "--provider", self.provider(), "--yes"]);
        assert_eq!(run.code, 3, "{what}: {run}");
        assert!(run.stderr.contains("machine-unknown"), "{what}: {run}");
    }

    /// Returns the names of the objects in the bucket.
    pub(crate) fn objects(&self) -> String {
        self.moto.request("s3", "GET", "/bucket?list-type=2", &[], "")
    }

    /// Asserts that no secret is in what the cloud was given, on the machine or on a computer, outside the file that it
    /// was given in. The machine has the secret that is its own.
    pub(crate) fn assert_secret(&self, laptops: &[&Laptop<'_>]) {
        let owners = Canary::new().secret("account", ACCOUNT).secret("backup key", BACKUP_KEY);
        let owners = owners.secret("owner's secret", OWNERS);
        let all = Canary::new().secret("account", ACCOUNT).secret("backup key", BACKUP_KEY);
        let all = all.secret("owner's secret", OWNERS).secret("machine's secret", MACHINES);
        for laptop in laptops {
            assert_eq!(laptop.program.leaks(&all), [], "a computer has a secret");
        }
        let user_data = match &self.double {
            Double::Hetzner(double) => double.user_data().join("\n"),
            Double::DigitalOcean(double) => double.user_data().join("\n"),
            Double::Ec2(gate) => format!("{:?}", gate.requests()),
        };
        assert_eq!(all.in_bytes("user-data and tags", user_data.as_bytes()), []);
        for server in self.datacenter.servers() {
            for folder in ["/etc", "/root", "/run", "/var"] {
                assert_eq!(owners.in_tree(&server.path(folder)).unwrap(), [], "the machine has a secret");
            }
        }
    }
}

/// A computer.
pub(crate) struct Laptop<'a> {
    scene: &'a Scene,
    pub(crate) program: Cloudron,
    account: String,
    key: String,
    machines: String,
}

impl Laptop<'_> {
    /// Returns the options that say how the account is reached.
    fn account(&self) -> Vec<String> {
        let words = match &self.scene.double {
            Double::Hetzner(double) => vec!["--token", &self.account, "--endpoint", double.endpoint()],
            Double::DigitalOcean(double) => vec!["--token", &self.account, "--endpoint", double.endpoint()],
            Double::Ec2(gate) => {
                let endpoint = gate.endpoint();
                let services =
                    [("ec2", &endpoint), ("ssm", &endpoint), ("route53", &self.scene.moto.endpoint())]
                        .map(|(service, address)| format!("{service}={address}"));
                let mut words: Vec<String> =
                    ["--region", "us-east-1", "--access-key-id", "AKIDEXAMPLE", "--secret-access-key"]
                        .map(str::to_owned)
                        .into();
                words.push(self.account.clone());
                words.extend(services.into_iter().flat_map(|service| ["--endpoint".to_owned(), service]));
                words.extend(["--endpoint".to_owned(), format!("s3={}", self.scene.bucket_address())]);
                return words;
            }
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// Returns the options of the bucket.
    pub(crate) fn bucket(&self) -> Vec<String> {
        let address = self.scene.bucket_address();
        let words = ["--backup-bucket", "bucket", "--backup-endpoint", &address];
        let words = if self.scene.cloud == Cloud::Ec2 { &words[..2] } else { &words[..] };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn ssh_key(&self) -> String {
        self.scene.keys.path().join("id_ed25519").display().to_string()
    }

    fn words(&self, words: &[&str], more: Vec<String>) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).chain(more).collect()
    }

    /// Runs a command with the options of the account.
    pub(crate) fn try_account(&self, words: &[&str]) -> Run {
        self.run(&self.words(words, self.account()))
    }

    /// Runs a command with the options of the account and of the bucket.
    #[track_caller]
    pub(crate) fn with_bucket(&self, words: &[&str]) -> Run {
        let more = self.account().into_iter().chain(self.bucket()).collect();
        let run = self.run(&self.words(words, more));
        assert_eq!(run.code, 0, "{run}");
        run
    }

    fn run(&self, words: &[String]) -> Run {
        self.program.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Returns the command that creates the machine, with its backups in the bucket.
    pub(crate) fn creating(&self, more: &[&str]) -> Vec<String> {
        let mut words = self.words(&["machine", "create", self.scene.provider()], self.account());
        words.extend(self.bucket());
        let key = self.ssh_key();
        let own = ["--fqdn", DOMAIN, "--ssh-key", &key, "--backup-key", &self.key, "--dns", "none", "--yes"];
        words.extend(own.map(str::to_owned));
        if self.scene.cloud == Cloud::Ec2 {
            // The user that cloud-init makes on the servers of these tests.
            words.extend(["--ssh-user", "debian"].map(str::to_owned));
        }
        let machine = ["--server-access-key-id", "machine", "--server-secret-access-key", &self.machines];
        words.extend(machine.map(str::to_owned));
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    #[track_caller]
    pub(crate) fn create(&self, more: &[&str]) -> Run {
        let run = self.try_create(more);
        assert_eq!(run.code, 0, "{run}");
        run
    }

    pub(crate) fn try_create(&self, more: &[&str]) -> Run {
        self.run(&self.creating(more))
    }

    /// Starts a command, and kills the program as soon as something is so, or it has ended. Returns whether it was killed.
    pub(crate) fn killed_when(&self, words: &[String], so: impl Fn() -> bool) -> bool {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut running = self.program.spawn(&words);
        while running.runs() && !so() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        running.kill().code == -1
    }

    /// Returns the command that removes everything of the machine at the cloud.
    pub(crate) fn destroying(&self) -> Vec<String> {
        let key = self.ssh_key();
        let words =
            ["machine", "destroy", DOMAIN, "--provider", self.scene.provider(), "--ssh-key", &key, "--yes"];
        self.words(&words, self.account())
    }
}
