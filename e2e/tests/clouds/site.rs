//! The double of a cloud with its data centre, and a service with buckets.

use cloudron_e2e::Datacenter;
use cloudron_testkit::clouds::digitalocean::DigitalOcean;
use cloudron_testkit::clouds::hetzner::Hetzner;
use cloudron_testkit::ec2_gate::Gate;
use cloudron_testkit::moto::Moto;
use cloudron_testkit::proxy::Proxy;
use serde_json::Value;

/// The machine's domain in all tests; no name server is asked for it.
pub(crate) const DOMAIN: &str = "example.com";
/// The token of the account, at Amazon the secret of its access key.
pub(crate) const TOKEN: &str = "canary0token4c81f7e2d95b";
/// The bucket.
pub(crate) const BUCKET: &str = "my-backups";

/// An image of Ubuntu that moto has, whose user is `ubuntu`.
const IMAGE: &str = "ami-785db401";

/// What EC2 is asked for to count what there is: the action, and the element with the ID.
const KINDS: [(&str, &str); 8] = [
    ("DescribeInstances", "instanceId"),
    ("DescribeVolumes", "volumeId"),
    ("DescribeSecurityGroups", "groupId"),
    ("DescribeKeyPairs", "keyPairId"),
    ("DescribeAddresses", "allocationId"),
    ("DescribeVpcs", "vpcId"),
    ("DescribeSubnets", "subnetId"),
    ("DescribeInternetGateways", "internetGatewayId"),
];

/// A cloud where servers boot, and a service with one bucket.
pub(crate) struct Site {
    pub(crate) datacenter: Datacenter,
    cloud: Cloud,
    moto: Moto,
    buckets: Proxy,
}

enum Cloud {
    Hetzner(Hetzner),
    DigitalOcean(DigitalOcean),
    /// With what there was before.
    Ec2(Gate, Vec<String>),
}

impl Site {
    /// Opens a cloud by its name. `None` if moto is not installed.
    pub(crate) fn open(provider: &str) -> Option<Self> {
        let moto = Moto::start()?;
        moto.request("s3", "PUT", &format!("/{BUCKET}"), &[], "");
        let datacenter = Datacenter::new();
        let (datacenter, cloud) = match provider {
            "hetzner" => (datacenter.clone(), Cloud::Hetzner(Hetzner::start(TOKEN, datacenter))),
            "digitalocean" => {
                (datacenter.clone(), Cloud::DigitalOcean(DigitalOcean::start(TOKEN, datacenter)))
            }
            _ => {
                let (datacenter, gate) = (datacenter.with_user("ubuntu"), Gate::before(&moto));
                gate.boot(datacenter.clone());
                gate.parameter(IMAGE);
                (datacenter, Cloud::Ec2(gate, amazon(&moto)))
            }
        };
        // The servers and the laptops reach the buckets at the same address.
        let here = format!("{}:0", Datacenter::gateway()).parse().expect("Docker has a network");
        let behind = moto.endpoint().trim_start_matches("http://").parse().expect("an address");
        let buckets = Proxy::start_at(here, behind).expect("a free port");
        Some(Self { datacenter, cloud, moto, buckets })
    }

    /// Returns the name of the cloud.
    pub(crate) fn provider(&self) -> &'static str {
        match &self.cloud {
            Cloud::Hetzner(_) => "hetzner",
            Cloud::DigitalOcean(_) => "digitalocean",
            Cloud::Ec2(..) => "ec2",
        }
    }

    /// Returns the address of the cloud's interface.
    pub(crate) fn endpoint(&self) -> String {
        match &self.cloud {
            Cloud::Hetzner(double) => double.endpoint().to_owned(),
            Cloud::DigitalOcean(double) => double.endpoint().to_owned(),
            Cloud::Ec2(gate, _) => gate.endpoint(),
        }
    }

    /// Returns the address of the service with the bucket.
    pub(crate) fn buckets(&self) -> String {
        format!("http://{}", self.buckets.address())
    }

    /// Returns the address of Amazon's services other than EC2.
    pub(crate) fn amazon(&self) -> String {
        self.moto.endpoint()
    }

    /// Returns the keys of the objects in the bucket.
    pub(crate) fn objects(&self) -> Vec<String> {
        let list = self.moto.request("s3", "GET", &format!("/{BUCKET}?list-type=2"), &[], "");
        contents(&list, "Key")
    }

    /// Returns what the account has.
    pub(crate) fn resources(&self) -> Vec<String> {
        match &self.cloud {
            Cloud::Hetzner(double) => double.resources(),
            Cloud::DigitalOcean(double) => double.resources(),
            Cloud::Ec2(_, before) => {
                amazon(&self.moto).into_iter().filter(|resource| !before.contains(resource)).collect()
            }
        }
    }

    /// Asserts that nothing runs and nothing is left in the account.
    #[track_caller]
    pub(crate) fn assert_gone(&self, what: &str) {
        assert_eq!(self.resources(), [""; 0], "{what}");
        assert_eq!(self.datacenter.servers().len(), 0, "{what}");
    }

    /// Deletes the machine in the cloud's console, which the program does not notice, and waits until it is not listed any
    /// more. What was made with it stays.
    pub(crate) fn lose(&self) {
        let path = self.machine().expect("a machine whose deletion nothing protects from");
        assert!(self.put("DELETE", &path) < 300);
        while self.put("GET", &path) < 300 {}
        assert_eq!(self.datacenter.servers().len(), 0);
    }

    /// Waits until DigitalOcean does not list a machine that is being deleted any more. The others say that they delete it.
    pub(crate) fn settle(&self) {
        if let (Cloud::DigitalOcean(_), Some(path)) = (&self.cloud, self.machine()) {
            while self.put("GET", &path) < 300 {}
        }
    }

    /// Returns the path of the only machine at Hetzner or DigitalOcean.
    fn machine(&self) -> Option<String> {
        let (kind, objects) = match &self.cloud {
            Cloud::Hetzner(double) => ("servers", double.objects("servers")),
            Cloud::DigitalOcean(double) => ("droplets", double.objects("droplets")),
            Cloud::Ec2(..) => return None,
        };
        Some(format!("/{kind}/{}", objects.first()?["id"]))
    }

    /// Makes a call as somebody else would, and returns its status.
    fn put(&self, method: &str, path: &str) -> u16 {
        match &self.cloud {
            Cloud::Hetzner(double) => double.put(method, path, &Value::Null).status,
            Cloud::DigitalOcean(double) => double.put(method, path, &Value::Null).status,
            Cloud::Ec2(..) => 404,
        }
    }

    /// Returns all that the cloud was given to keep: user-data, names, labels and tags.
    pub(crate) fn kept(&self) -> String {
        match &self.cloud {
            Cloud::Hetzner(double) => {
                let kinds = ["servers", "firewalls", "ssh_keys", "networks", "actions"];
                format!("{:?}{:?}", double.user_data(), kinds.map(|kind| double.objects(kind)))
            }
            Cloud::DigitalOcean(double) => {
                let kinds = ["droplets", "firewalls", "keys", "tags", "actions", "domains"];
                format!("{:?}{:?}", double.user_data(), kinds.map(|kind| double.objects(kind)))
            }
            Cloud::Ec2(gate, _) => format!("{:?}", gate.requests()),
        }
    }
}

/// Returns what an account at Amazon has.
fn amazon(moto: &Moto) -> Vec<String> {
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let mut all = Vec::new();
    for (action, element) in KINDS {
        let mut body = format!("Action={action}&Version=2016-11-15");
        if action == "DescribeInstances" {
            let states = ["pending", "running", "shutting-down", "stopping", "stopped"];
            body += "&Filter.1.Name=instance-state-name";
            for (n, state) in states.iter().enumerate() {
                body += &format!("&Filter.1.Value.{}={state}", n + 1);
            }
        }
        all.extend(contents(&moto.request("ec2", "POST", "/", &form, &body), element));
    }
    all.sort();
    all.dedup();
    all
}

/// Returns the contents of the elements of that name.
fn contents(xml: &str, element: &str) -> Vec<String> {
    let opening = format!("<{element}>");
    let parts = xml.split(&*opening).skip(1);
    parts.filter_map(|part| Some(part.split_once('<')?.0.to_owned())).collect()
}
