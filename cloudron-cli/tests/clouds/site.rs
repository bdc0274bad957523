//! A cloud with its own DNS host, a service with a bucket, and computers on which the program runs.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use cloudron_dns::RecordType;
use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::digitalocean::DigitalOcean;
use cloudron_testkit::clouds::hetzner::Hetzner;
use cloudron_testkit::ec2_gate::Gate;
use cloudron_testkit::moto::Moto;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::bench::{FQDN, private, run};
use crate::common::{FAST_KEY, Home, Run};
use crate::hetzner::{Hetzner as Zones, TOKEN, ZONE};
use crate::machine::{MOVED, Machine};
use crate::name_server::{DnsServer, set};
use crate::own_dns;
use crate::rest::Model;

const BUCKET: &str = "my-backups";
/// The secret of the owner's key for the bucket.
const OWNERS: &str = "canary0owner5a1c7e9b3d";
/// The secret of the server's own key for the bucket.
const WRITERS: &str = "canary0writer8f2d6b4a0c";
/// An image of Ubuntu that moto has.
const IMAGE: &str = "ami-785db401";

enum Cloud {
    Hetzner(Hetzner, Arc<Model<Zones>>, String),
    DigitalOcean(DigitalOcean),
    /// With the path of the hosted zone.
    Ec2(Gate, String),
}

pub(crate) struct Site {
    cloud: Cloud,
    pub(crate) machine: Arc<Machine>,
    moto: Arc<Moto>,
    /// The address of the next server.
    next: Arc<Mutex<Ipv4Addr>>,
    names: DnsServer,
    _runtime: Runtime,
}

impl Drop for Site {
    fn drop(&mut self) {
        // The double keeps the machine, whose server would outlive the test.
        self.machine.off();
    }
}

/// Starts a service with a bucket. None if moto is not installed.
pub(crate) fn buckets() -> Option<Arc<Moto>> {
    let moto = Moto::start()?;
    moto.request("s3", "PUT", &format!("/{BUCKET}"), &[], "");
    Some(Arc::new(moto))
}

impl Site {
    /// Opens a cloud by its name, which has a zone of the domain. None if OpenSSH is not installed.
    pub(crate) fn open(provider: &str, moto: &Arc<Moto>) -> Option<Self> {
        let (machine, next) = (Arc::new(Machine::start()?), Arc::new(Mutex::new(Ipv4Addr::LOCALHOST)));
        let (theirs, address) = (machine.clone(), next.clone());
        let boot = move |boot: &Boot| {
            theirs.boot(boot);
            *address.lock().unwrap()
        };
        let runtime = Runtime::new().unwrap();
        let cloud = match provider {
            "hetzner" => {
                let zones = Model::new(Zones::default().with_zone(ZONE, FQDN));
                let address = runtime.block_on(own_dns::serve(zones.clone()));
                let double = Hetzner::start(TOKEN, boot);
                double.set(|settings| settings.polls = 0);
                Cloud::Hetzner(double, zones, address)
            }
            "digitalocean" => {
                let double = DigitalOcean::start(TOKEN, boot);
                double.set(|settings| settings.polls = 0);
                assert_eq!(double.put("POST", "/domains", &json!({ "name": FQDN })).status, 201);
                Cloud::DigitalOcean(double)
            }
            _ => {
                let gate = Gate::before(moto);
                gate.boot(boot);
                gate.parameter(IMAGE);
                Cloud::Ec2(gate, own_dns::hosted_zone(moto, FQDN))
            }
        };
        let names = runtime.block_on(DnsServer::start(FQDN, []));
        Some(Self { cloud, machine, moto: moto.clone(), next, names, _runtime: runtime })
    }

    pub(crate) fn provider(&self) -> &'static str {
        match &self.cloud {
            Cloud::Hetzner(..) => "hetzner",
            Cloud::DigitalOcean(_) => "digitalocean",
            Cloud::Ec2(..) => "ec2",
        }
    }

    /// Returns a computer, which has the secrets and the SSH key.
    pub(crate) fn home(&self) -> Home {
        let home = Home::new();
        for (name, secret) in [("token", TOKEN), ("owner", OWNERS), ("writer", WRITERS), ("key", FAST_KEY)] {
            private(&home, name, secret);
        }
        private(&home, "ssh_key", &std::fs::read_to_string(self.machine.sshd().key_path()).unwrap());
        home
    }

    /// Returns the options of the account at the cloud.
    pub(crate) fn account(&self) -> Vec<String> {
        match &self.cloud {
            Cloud::Hetzner(double, _, zones) => {
                words(&format!("--token file:token --endpoint {} --endpoint dns={zones}", double.endpoint()))
            }
            Cloud::DigitalOcean(double) => {
                words(&format!("--token file:token --endpoint {}", double.endpoint()))
            }
            Cloud::Ec2(gate, _) => {
                let (endpoint, others) = (gate.endpoint(), self.moto.endpoint());
                words(&format!(
                    "--region us-east-1 --access-key-id AKIDEXAMPLE --secret-access-key file:owner \
                     --endpoint ec2={endpoint} --endpoint ssm={endpoint} --endpoint {others}"
                ))
            }
        }
    }

    /// Returns the options of the bucket for a new machine.
    pub(crate) fn bucket(&self) -> Vec<String> {
        let mut bucket = words(&format!("--backup-bucket {BUCKET}"));
        if !matches!(self.cloud, Cloud::Ec2(..)) {
            bucket.extend(words("--access-key-id owner --secret-access-key file:owner --backup-endpoint"));
            bucket.push(self.moto.endpoint());
        }
        bucket
    }

    /// Returns the options that open the bucket of a machine, where those of the account do not.
    pub(crate) fn opening(&self) -> Vec<String> {
        match &self.cloud {
            Cloud::Ec2(..) => Vec::new(),
            _ => words(&format!(
                "--access-key-id owner --secret-access-key file:owner --endpoint s3={}",
                self.moto.endpoint()
            )),
        }
    }

    /// Returns the command that creates the machine, with its backups in the bucket and its records at the cloud's host.
    pub(crate) fn creating(&self, more: &str) -> Vec<String> {
        let (sshd, provider, names) = (self.machine.sshd(), self.provider(), self.names.address);
        let (user, port) = (sshd.user(), sshd.port());
        let begin = format!(
            "machine create {provider} --fqdn {FQDN} --backup-key file:key --ssh-key ./ssh_key --ssh-user {user} \
             --ssh-port {port} --keep-ssh-port --name-server {names} --yes --server-access-key-id writer \
             --server-secret-access-key file:writer"
        );
        [words(&begin), self.account(), self.bucket(), words(more)].concat()
    }

    pub(crate) fn create(&self, home: &Home, more: &str) -> Run {
        silent(run(home, &self.creating(more)))
    }

    /// Runs a command with the options of the account.
    pub(crate) fn run(&self, home: &Home, command: &str) -> Run {
        silent(run(home, &[words(command), self.account()].concat()))
    }

    /// As [`run`](Self::run), with further options.
    pub(crate) fn run_with(&self, home: &Home, command: &str, more: Vec<String>) -> Run {
        silent(run(home, &[words(command), self.account(), more].concat()))
    }

    /// The next server gets another address, and name servers know it already.
    pub(crate) fn next_is(&self, address: Ipv4Addr) {
        *self.next.lock().unwrap() = address;
        let v6 = match &self.cloud {
            Cloud::Hetzner(..) => Some("2001:db8::1"),
            Cloud::DigitalOcean(_) => Some("2001:db8::d0"),
            Cloud::Ec2(..) => None,
        };
        let v4 = address.to_string();
        self.names.change(|contents| {
            contents.sets.clear();
            for name in ["my", "*"].map(|label| format!("{label}.{FQDN}")) {
                contents.sets.push(set(&name, RecordType::A, &[&v4]));
                contents.sets.extend(v6.map(|v6| set(&name, RecordType::AAAA, &[v6])));
            }
        });
    }

    /// Returns what the records of the machine are at an address.
    pub(crate) fn records_at(&self, address: Ipv4Addr) -> Vec<String> {
        self.next_is(address);
        let contents = self.names.contents.lock().unwrap();
        let shown = |owner: &str, rtype: RecordType, value: String| {
            format!(
                "{} {rtype} {value}",
                owner.trim_end_matches('.').trim_end_matches(FQDN).trim_end_matches('.')
            )
        };
        let mut records: Vec<String> = contents
            .sets
            .iter()
            .map(|set| {
                let value = set.values().iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                shown(&set.key().name.to_string(), set.key().rtype, value)
            })
            .collect();
        records.sort();
        records
    }

    /// Returns the records at the cloud's own DNS host, as `my A 127.0.0.1`.
    pub(crate) fn records(&self) -> Vec<String> {
        let mut records = match &self.cloud {
            Cloud::Hetzner(_, zones, _) => {
                zones.none_wrong();
                zones.records().iter().map(|record| record.trim_end().to_owned()).collect()
            }
            Cloud::DigitalOcean(double) => {
                let list = double.put("GET", &format!("/domains/{FQDN}/records"), &json!(null)).body;
                let list = list["domain_records"].as_array().unwrap().clone();
                let own = |kind: &str| kind == "SOA" || kind == "NS";
                let list =
                    list.iter().map(|r| ["name", "type", "data"].map(|f| r[f].as_str().unwrap().to_owned()));
                list.filter(|[_, kind, _]| !own(kind)).map(|record| record.join(" ")).collect()
            }
            Cloud::Ec2(_, zone) => own_dns::records(&self.moto, zone, FQDN),
        };
        records.sort();
        records
    }

    /// Puts a record at the cloud's own DNS host, as somebody else would.
    pub(crate) fn foreign(&self, name: &str, rtype: &str, value: &str) {
        match &self.cloud {
            Cloud::Hetzner(_, zones, _) => zones.lock().service.put(name, rtype, Some(300), &[(value, "")]),
            Cloud::DigitalOcean(double) => {
                let path = format!("/domains/{FQDN}/records");
                let list = double.put("GET", &path, &json!(null)).body;
                for old in list["domain_records"].as_array().unwrap() {
                    if old["name"] == *name && old["type"] == *rtype {
                        double.put("DELETE", &format!("{path}/{}", old["id"]), &json!(null));
                    }
                }
                let record = json!({ "name": name, "type": rtype, "data": value, "ttl": 300 });
                assert_eq!(double.put("POST", &path, &record).status, 201);
            }
            Cloud::Ec2(_, zone) => own_dns::put(&self.moto, zone, (&format!("{name}.{FQDN}"), rtype, value)),
        }
    }

    /// Returns the keys of the objects in the bucket.
    pub(crate) fn objects(&self) -> Vec<String> {
        let list = self.moto.request("s3", "GET", &format!("/{BUCKET}?list-type=2"), &[], "");
        list.split("<Key>").skip(1).map(|part| part.split('<').next().unwrap().to_owned()).collect()
    }

    /// Returns how many machines the cloud has.
    pub(crate) fn machines(&self, home: &Home) -> usize {
        let list = self.run(home, &format!("machine list --provider {} --output json", self.provider())).ok();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        list["machines"].as_array().unwrap().len()
    }

    /// Asserts that the cloud and its DNS host have nothing of the machine.
    pub(crate) fn assert_gone(&self, home: &Home) {
        assert_eq!((self.machines(home), self.records()), (0, Vec::new()));
        match &self.cloud {
            Cloud::Hetzner(double, ..) => assert_eq!(double.resources(), [""; 0]),
            Cloud::DigitalOcean(double) => {
                let left = double.resources();
                assert!(left.iter().all(|resource| resource.starts_with("domains ")), "{left:?}");
            }
            Cloud::Ec2(..) => {}
        }
        let again = self.run(home, &format!("machine destroy {FQDN} --provider {} --yes", self.provider()));
        again.failed(3, "machine-unknown", self.provider());
    }

    /// The file of the machine that the tests look for after a restore.
    pub(crate) fn note(&self) -> std::path::PathBuf {
        self.machine.path("root/data/note")
    }

    /// The address of a machine that comes back elsewhere.
    pub(crate) fn moved() -> Ipv4Addr {
        MOVED
    }
}

/// Splits a command at its blanks.
pub(crate) fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// Asserts that the output has no secret.
fn silent(run: Run) -> Run {
    let canary = Canary::new().secret("token", TOKEN).secret("owner's", OWNERS).secret("writer's", WRITERS);
    let canary = canary.secret("backup key", FAST_KEY);
    assert_none(&canary.in_bytes("output", format!("{}{}", run.stdout, run.stderr).as_bytes()));
    run
}
