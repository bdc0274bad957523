//! A machine's life on a server that speaks the interface.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloudron_core::{Result, Secret};
use cloudron_http::{HttpOptions, HttpTransport, Request, ReqwestTransport, Response};
use cloudron_provision::ec2::{Meaning::*, *};
use cloudron_testkit::moto::Moto;
use serde_json::{Value, json};

use super::{bench, model};

/// The owner of images of Ubuntu.
pub(crate) const CANONICAL: &str = "099720109477";
pub(crate) const XENIAL: &str = "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-*";

/// Sends, and keeps the bodies.
pub(crate) struct Recorder {
    transport: ReqwestTransport,
    bodies: Mutex<Vec<Vec<u8>>>,
}

#[async_trait]
impl HttpTransport for Recorder {
    async fn send(&self, request: Request) -> Result<Response> {
        self.bodies.lock().unwrap().push(request.body().to_vec());
        self.transport.send(request).await
    }
}

impl Recorder {
    /// The requests as the script wants them.
    fn requests(&self) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap();
        bodies
            .iter()
            .map(|body| String::from_utf8(body.clone()).unwrap())
            .filter_map(|body| described(&body))
            .collect()
    }
}

fn described(body: &str) -> Option<Value> {
    let pairs: Vec<(String, String)> =
        body.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (plain(n), plain(v))).collect();
    let action = pairs.iter().find(|(name, _)| name == "Action")?.1.clone();
    let service = if action == "GetCallerIdentity" { "sts" } else { "ec2" };
    let parameters: serde_json::Map<_, _> = pairs.into_iter().map(|(n, v)| (n, Value::from(v))).collect();
    Some(json!({ "service": service, "action": action, "parameters": parameters }))
}

fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&more[..2]).unwrap(), 16).unwrap());
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn client(moto: &Moto) -> (Client, Arc<Recorder>) {
    client_at(&moto.endpoint())
}

/// A client of a server, and what it sends.
pub(crate) fn client_at(endpoint: &str) -> (Client, Arc<Recorder>) {
    let transport = ReqwestTransport::new(HttpOptions::default()).unwrap();
    let recorder = Arc::new(Recorder { transport, bodies: Mutex::default() });
    let mut client = bench::on(recorder.clone());
    for service in [Service::Ec2, Service::Sts, Service::Ssm] {
        client.set_endpoint(service, endpoint).unwrap();
    }
    (client, recorder)
}

fn ours() -> Vec<Tag> {
    vec![Tag::new("cloudron:fqdn", "example.com"), Tag::new("cloudron:run", "01JE0000000000000000000000")]
}

fn by_tag() -> Vec<Filter> {
    vec![Filter::new("tag:cloudron:fqdn", "example.com")]
}

async fn group_in(client: &Client, vpc_id: &str) -> String {
    let request = CreateSecurityGroup {
        group_name: "cloudron-example.com".into(),
        group_description: "my.example.com".into(),
        vpc_id: vpc_id.into(),
        tags: TagSpecification::of(&["security-group"], &ours()),
    };
    let group_id = client.call(&request).await.unwrap().group_id;
    assert!(client.call(&request).await.unwrap_err().is(Exists));
    let rules = [22, 202, 80, 443].map(Rule::tcp).into_iter().chain(Rule::icmp()).collect();
    let request = AuthorizeSecurityGroupIngress { group_id: group_id.clone(), rules };
    client.call(&request).await.unwrap();
    assert!(client.call(&request).await.unwrap_err().is(Exists));
    let found =
        client.all(&DescribeSecurityGroups { filters: by_tag(), ..Default::default() }).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].group_id, &*found[0].vpc_id), (&*group_id, vpc_id));
    let ports: Vec<_> = found[0].rules.iter().filter_map(|rule| rule.from_port).collect();
    assert_eq!(ports.len(), 6, "{:?}", found[0].rules);
    assert_eq!(found[0].rules[0].ranges[0].cidr_ip, "0.0.0.0/0");
    group_id
}

async fn launch(client: &Client, subnet_id: &str, group_id: &str) -> Instance {
    let query = lookup::ImageQuery { owner: CANONICAL, name: XENIAL, architecture: "x86_64" };
    let image = lookup::newest_image(client, query).await.unwrap();
    assert_eq!(image.image_owner_id, CANONICAL);
    assert_eq!(lookup::image(client, &image.image_id).await.unwrap(), image);
    let request = RunInstances {
        image_id: image.image_id.clone(),
        instance_type: "t3.small".into(),
        client_token: "0123456789abcdef".into(),
        user_data: Some(Secret::new("#cloud-config\nssh_pwauth: false\n")),
        network_interfaces: vec![NewInterface {
            subnet_id: subnet_id.into(),
            associate_public_ip_address: true,
            security_groups: vec![group_id.into()],
            delete_on_termination: true,
            ..NewInterface::default()
        }],
        devices: vec![NewDevice {
            device_name: image.root_device_name.clone(),
            ebs: NewVolume::encrypted(30),
        }],
        disable_api_termination: true,
        instance_initiated_shutdown_behavior: Some("stop".into()),
        credit_specification: Some(Credits { cpu_credits: "standard".into() }),
        tags: TagSpecification::of(&["instance", "volume", "network-interface"], &ours()),
        ..RunInstances::default()
    };
    client.could_run(&request).await.unwrap();
    let started = client.call(&request).await.unwrap();
    assert_eq!(started.instances.len(), 1);
    let alive = Filter::any("instance-state-name", ["pending", "running"]);
    let instance = only(client, [by_tag(), vec![alive]].concat()).await.unwrap();
    assert_eq!(instance.instance_id, started.instances[0].instance_id);
    assert_eq!(instance.tags.value("cloudron:fqdn"), Some("example.com"));
    assert_eq!(instance.client_token, "0123456789abcdef");
    assert_eq!(instance.subnet_id.as_deref(), Some(subnet_id));
    assert!(instance.public_ip.is_some() && instance.instance_state.name == "running", "{instance:?}");
    assert_eq!(instance.network_interfaces[0].groups[0].group_id, group_id);
    instance
}

/// The only instance that matches, or none.
async fn only(client: &Client, filters: Vec<Filter>) -> Option<Instance> {
    let found = client.all(&DescribeInstances { filters, ..Default::default() }).await.unwrap();
    let mut instances: Vec<Instance> = found.into_iter().flat_map(|found| found.instances.item).collect();
    assert!(instances.len() <= 1, "{instances:?}");
    instances.pop()
}

async fn end(client: &Client, instance: &Instance, group_id: &str) {
    let instance_id = instance.instance_id.clone();
    let terminate = TerminateInstances { instance_ids: vec![instance_id.clone()] };
    let protect = |value| ModifyInstanceAttribute {
        instance_id: instance_id.clone(),
        disable_api_termination: Some(Switch { value }),
    };
    // moto overlooks it when an instance is started.
    client.call(&protect(true)).await.unwrap();
    assert!(client.call(&terminate).await.unwrap_err().is(Protected));
    let attribute =
        |name: &str| DescribeInstanceAttribute { instance_id: instance_id.clone(), attribute: name.into() };
    assert!(
        client
            .call(&attribute("disableApiTermination"))
            .await
            .unwrap()
            .disable_api_termination
            .unwrap()
            .value
    );
    let data = client.call(&attribute("userData")).await.unwrap().user_data.unwrap().value.unwrap();
    assert_eq!(data.expose(), "I2Nsb3VkLWNvbmZpZwpzc2hfcHdhdXRoOiBmYWxzZQo=");
    client.call(&protect(false)).await.unwrap();
    let changed = client.call(&terminate).await.unwrap();
    assert_eq!(changed.instances[0].instance_id, instance.instance_id);
    let group = DeleteSecurityGroup { group_id: group_id.into() };
    client.call(&group).await.unwrap();
    assert!(client.call(&group).await.unwrap_err().is(Missing));
    let alive = Filter::any("instance-state-name", ["pending", "running", "stopping", "stopped"]);
    assert_eq!(only(client, [by_tag(), vec![alive]].concat()).await, None);
}

async fn elastic_ip(client: &Client, instance_id: &str) {
    let tags = TagSpecification::of(&["elastic-ip"], &ours());
    let allocated = client.call(&AllocateAddress { tags, ..Default::default() }).await.unwrap();
    let associate = AssociateAddress {
        allocation_id: allocated.allocation_id.clone(),
        instance_id: instance_id.into(),
        allow_reassociation: false,
    };
    client.call(&associate).await.unwrap();
    let addresses = client.call(&DescribeAddresses { filters: by_tag() }).await.unwrap().addresses;
    assert_eq!(addresses.len(), 1);
    assert_eq!(addresses[0].public_ip, allocated.public_ip);
    assert_eq!(addresses[0].instance_id.as_deref(), Some(instance_id));
    let association_id = addresses[0].association_id.clone().unwrap();
    client.call(&DisassociateAddress { association_id }).await.unwrap();
    let release = ReleaseAddress { allocation_id: allocated.allocation_id };
    client.call(&release).await.unwrap();
    assert!(client.call(&release).await.unwrap_err().is(Missing));
    assert!(client.call(&DescribeAddresses { filters: by_tag() }).await.unwrap().addresses.is_empty());
}

#[tokio::test]
async fn a_machine_lives_and_ends_in_the_network_that_is_there() {
    let Some(moto) = Moto::start() else { return };
    let (client, recorder) = client(&moto);
    assert_eq!(client.call(&GetCallerIdentity {}).await.unwrap().caller.account, "123456789012");
    let default = DescribeVpcs { filters: vec![Filter::new("isDefault", "true")], ..Default::default() };
    let vpcs = client.all(&default).await.unwrap();
    assert!(vpcs.len() == 1 && vpcs[0].is_default, "{vpcs:?}");
    let filters = vec![Filter::new("vpc-id", &vpcs[0].vpc_id), Filter::new("default-for-az", "true")];
    let subnets = client.all(&DescribeSubnets { filters, ..Default::default() }).await.unwrap();
    let zones = lookup::zones_with(&client, "t3.small").await.unwrap();
    let subnet = subnets.iter().find(|subnet| zones.contains(&subnet.availability_zone)).unwrap();
    assert!(subnet.map_public_ip_on_launch && subnet.available_ip_address_count > 1000, "{subnet:?}");
    assert!(lookup::zones_with(&client, "t3.enormous").await.unwrap().is_empty());
    let kind = lookup::instance_type(&client, "t4g.small").await.unwrap();
    assert_eq!(&*kind.processor_info.supported_architectures, ["arm64".to_owned()]);
    assert!(
        kind.v_cpu_info.count == 2 && kind.memory_info.mib == 2048 && kind.burstable_performance_supported
    );
    assert!(kind.network_info.ipv6_supported && kind.hypervisor == "nitro", "{kind:?}");
    let unknown = lookup::instance_type(&client, "t3.enormous").await.unwrap_err();
    assert!(unknown.is(&cloudron_provision::cloud::codes::NOT_FOUND), "{unknown}");
    let list = client.call(&DescribeAvailabilityZones::default()).await.unwrap().zones;
    assert!(list.iter().any(|zone| zone.zone_name == subnet.availability_zone), "{list:?}");
    let regions = client.call(&DescribeRegions { all_regions: Some(false) }).await.unwrap().regions;
    assert!(regions.iter().any(|region| region.region_name == "eu-central-1"), "{regions:?}");

    let group_id = group_in(&client, &vpcs[0].vpc_id).await;
    let instance = launch(&client, &subnet.subnet_id, &group_id).await;
    assert_eq!(instance.metadata_options.http_tokens, "required", "{instance:?}");
    let volume = instance.devices[0].ebs.volume_id.clone();
    let tags = TagSpecification::of(&["snapshot"], &ours());
    let request = CreateSnapshot { volume_id: volume, description: "before".into(), tags };
    let snapshot = client.call(&request).await.unwrap();
    let own = DescribeSnapshots { owners: vec!["self".into()], filters: by_tag(), ..Default::default() };
    assert_eq!(client.all(&own).await.unwrap()[0].snapshot_id, snapshot.snapshot_id);
    client.call(&DeleteSnapshot { snapshot_id: snapshot.snapshot_id }).await.unwrap();
    let request = GetConsoleOutput { instance_id: instance.instance_id.clone(), latest: true };
    assert!(client.call(&request).await.unwrap().text().is_some());
    elastic_ip(&client, &instance.instance_id).await;
    let resources = vec![instance.instance_id.clone()];
    client.call(&CreateTags { resources, tags: vec![Tag::new("cloudron:role", "retired")] }).await.unwrap();
    let again = only(&client, by_tag()).await.unwrap();
    assert_eq!(again.tags.value("cloudron:role"), Some("retired"));
    end(&client, &instance, &group_id).await;
    // But for the type that does not exist, which the model does not know either.
    let known = |request: &Value| !request.to_string().contains("t3.enormous");
    let requests: Vec<Value> = recorder.requests().into_iter().filter(known).collect();
    assert!(requests.len() > 30);
    let Some((good, printed)) = model::botocore("requests", &requests) else { return };
    assert!(good, "{printed}");
}

#[tokio::test]
async fn a_machine_lives_and_ends_in_a_network_of_its_own() {
    let Some(moto) = Moto::start() else { return };
    let (client, recorder) = client(&moto);
    let create = CreateVpc {
        cidr_block: "10.77.0.0/16".into(),
        amazon_provided_ipv6_cidr_block: true,
        tags: TagSpecification::of(&["vpc"], &ours()),
    };
    let vpc_id = client.call(&create).await.unwrap().vpc.vpc_id;
    let found = client.all(&DescribeVpcs { filters: by_tag(), ..Default::default() }).await.unwrap();
    assert!(found.len() == 1 && found[0].vpc_id == vpc_id && !found[0].is_default, "{found:?}");
    let ipv6 = found[0].ipv6[0].ipv6_cidr_block.clone();
    for (enable_dns_support, enable_dns_hostnames) in
        [(Some(Switch { value: true }), None), (None, Some(Switch { value: true }))]
    {
        let request = ModifyVpcAttribute { vpc_id: vpc_id.clone(), enable_dns_hostnames, enable_dns_support };
        client.call(&request).await.unwrap();
    }
    let request = CreateSubnet {
        vpc_id: vpc_id.clone(),
        cidr_block: "10.77.0.0/24".into(),
        ipv6_cidr_block: Some(ipv6.replace("/56", "/64")),
        availability_zone: Some("us-east-1a".into()),
        tags: TagSpecification::of(&["subnet"], &ours()),
    };
    let subnet = client.call(&request).await.unwrap().subnet;
    assert!(client.call(&request).await.unwrap_err().is(Exists));
    let tags = TagSpecification::of(&["internet-gateway"], &ours());
    let gateway = client.call(&CreateInternetGateway { tags }).await.unwrap().internet_gateway;
    let internet_gateway_id = gateway.internet_gateway_id;
    let attach =
        AttachInternetGateway { internet_gateway_id: internet_gateway_id.clone(), vpc_id: vpc_id.clone() };
    client.call(&attach).await.unwrap();
    assert!(client.call(&attach).await.unwrap_err().is(Exists));
    let list = DescribeInternetGateways { filters: by_tag(), ..Default::default() };
    let gateways = client.all(&list).await.unwrap();
    assert_eq!(gateways[0].attachments[0].vpc_id, vpc_id);
    let filters = vec![Filter::new("vpc-id", &vpc_id), Filter::new("association.main", "true")];
    let tables = DescribeRouteTables { filters, ..Default::default() };
    let table = client.all(&tables).await.unwrap().remove(0);
    assert!(
        table.associations[0].main && table.routes[0].gateway_id.as_deref() == Some("local"),
        "{table:?}"
    );
    for (v4, v6) in [(Some("0.0.0.0/0"), None), (None, Some("::/0"))] {
        let request = CreateRoute {
            route_table_id: table.route_table_id.clone(),
            destination_cidr_block: v4.map(Into::into),
            destination_ipv6_cidr_block: v6.map(Into::into),
            gateway_id: internet_gateway_id.clone(),
        };
        client.call(&request).await.unwrap();
        // moto accepts an IPv6 route twice.
        assert!(v6.is_some() || client.call(&request).await.unwrap_err().is(Exists));
    }
    let routes = client.all(&tables).await.unwrap().remove(0).routes;
    let through = |route: &&Route| route.gateway_id.as_deref() == Some(&*internet_gateway_id);
    assert_eq!(routes.iter().filter(through).count(), 2, "{routes:?}");

    let group_id = group_in(&client, &vpc_id).await;
    let instance = launch(&client, &subnet.subnet_id, &group_id).await;
    let filters = vec![Filter::new("group-id", &group_id)];
    let held = client.all(&DescribeNetworkInterfaces { filters, ..Default::default() }).await.unwrap();
    assert_eq!(held[0].attachment.instance_id.as_deref(), Some(&*instance.instance_id), "{held:?}");
    end(&client, &instance, &group_id).await;
    let request =
        DetachInternetGateway { internet_gateway_id: internet_gateway_id.clone(), vpc_id: vpc_id.clone() };
    client.call(&request).await.unwrap();
    client.call(&DeleteInternetGateway { internet_gateway_id }).await.unwrap();
    client.call(&DeleteSubnet { subnet_id: subnet.subnet_id }).await.unwrap();
    client.call(&DeleteVpc { vpc_id: vpc_id.clone() }).await.unwrap();
    assert!(client.call(&DeleteVpc { vpc_id }).await.unwrap_err().is(Missing));
    assert!(client.all(&DescribeVpcs { filters: by_tag(), ..Default::default() }).await.unwrap().is_empty());
    let Some((good, printed)) = model::botocore("requests", &recorder.requests()) else { return };
    assert!(good, "{printed}");
}

#[tokio::test]
async fn keys_are_compared_by_the_key_itself_and_public_parameters_are_read() {
    let Some(moto) = Moto::start() else { return };
    let (client, _) = client(&moto);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBn9JZ4LeDk4Zg8Y1uK7kG5nJ7wH0mXgqvC1iK7mJ5aN";
    let import = ImportKeyPair {
        key_name: "cloudron-work".into(),
        public_key_material: format!("{key} work"),
        tags: TagSpecification::of(&["key-pair"], &ours()),
    };
    let imported = client.call(&import).await.unwrap();
    assert!(client.call(&import).await.unwrap_err().is(Exists));
    let request = DescribeKeyPairs { include_public_key: true, filters: by_tag(), ..Default::default() };
    let found = client.call(&request).await.unwrap().keys;
    assert_eq!(found[0].key_pair_id, imported.key_pair_id);
    assert!(found[0].public_key.as_deref().unwrap().starts_with(key), "{found:?}");
    client.call(&DeleteKeyPair { key_pair_id: imported.key_pair_id }).await.unwrap();
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    assert!(parameters::public(&client, name).await.unwrap().starts_with("ami-"));
    assert!(parameters::public(&client, "/aws/service/none").await.unwrap_err().is(Missing));
}
