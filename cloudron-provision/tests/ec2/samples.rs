//! One request of each action, with every field.

use std::fmt::Debug;

use cloudron_core::Secret;
use cloudron_provision::ec2::{self, *};

/// A request as it is sent, and how its answer is read.
pub(crate) struct Sample {
    pub(crate) service: Service,
    pub(crate) action: &'static str,
    pub(crate) parameters: Vec<(String, String)>,
    /// Reads an answer and shows it.
    pub(crate) read: fn(&[u8]) -> Result<String, String>,
}

fn sample<A: Action>(action: A) -> Sample
where
    A::Answer: Debug,
{
    action.check().expect("the sample may be sent");
    Sample {
        service: A::SERVICE,
        action: A::NAME,
        parameters: encode::parameters(&action),
        read: |body| {
            xml::parse::<A::Answer>(body, Some(&format!("{}Response", A::NAME)))
                .map(|answer| format!("{answer:?}"))
        },
    }
}

/// A list with every field.
macro_rules! list {
    ($name:ident { $($field:ident),* }) => {
        sample($name {
            $($field: vec!["a-1".into(), "a-2".into()],)*
            filters: filters(),
            max_results: Some(50),
            next_token: Some("next".into()),
        })
    };
}

fn filters() -> Vec<Filter> {
    vec![Filter::new("vpc-id", "vpc-1"), Filter::any("tag:cloudron:fqdn", ["a.example", "b.example"])]
}

fn tags(resource: &str) -> Vec<TagSpecification> {
    TagSpecification::of(
        &[resource],
        &[Tag::new("cloudron:fqdn", "example.com"), Tag::new("Name", "my.example.com")],
    )
}

fn one(id: &str) -> Vec<String> {
    vec![id.into()]
}

/// The request that starts a machine, with every field.
pub(crate) fn launch() -> RunInstances {
    RunInstances {
        image_id: "ami-1".into(),
        instance_type: "t3.small".into(),
        client_token: "0123456789abcdef".into(),
        key_name: Some("work".into()),
        user_data: Some(Secret::new("#cloud-config\n{}\n")),
        network_interfaces: vec![NewInterface {
            device_index: 0,
            subnet_id: "subnet-1".into(),
            associate_public_ip_address: true,
            ipv6_address_count: Some(1),
            security_groups: one("sg-1"),
            delete_on_termination: true,
        }],
        devices: vec![NewDevice { device_name: "/dev/sda1".into(), ebs: NewVolume::encrypted(30) }],
        disable_api_termination: true,
        instance_initiated_shutdown_behavior: Some("stop".into()),
        credit_specification: Some(Credits { cpu_credits: "standard".into() }),
        iam_instance_profile: Some(InstanceProfile { name: "backups".into() }),
        tags: TagSpecification::of(&["instance", "volume", "network-interface"], &[Tag::new("a", "b")]),
        dry_run: true,
        ..RunInstances::default()
    }
}

pub(crate) fn all() -> Vec<Sample> {
    let [gateway, vpc, group] = ["igw-1", "vpc-1", "sg-1"].map(str::to_owned);
    let [icmp, icmp6] = Rule::icmp();
    vec![
        list!(DescribeVpcs { vpc_ids }),
        list!(DescribeSubnets { subnet_ids }),
        list!(DescribeSecurityGroups { group_ids }),
        list!(DescribeInstances { instance_ids }),
        list!(DescribeImages { owners, image_ids }),
        list!(DescribeNetworkInterfaces { network_interface_ids }),
        list!(DescribeInternetGateways { internet_gateway_ids }),
        list!(DescribeRouteTables { route_table_ids }),
        list!(DescribeSnapshots { owners, snapshot_ids }),
        list!(DescribeTags {}),
        sample(DescribeInstanceTypes {
            instance_types: one("t3.small"),
            filters: filters(),
            max_results: Some(5),
            next_token: Some("next".into()),
        }),
        sample(DescribeInstanceTypeOfferings {
            location_type: "availability-zone".into(),
            filters: filters(),
            max_results: Some(5),
            next_token: Some("next".into()),
        }),
        sample(DescribeAvailabilityZones { filters: filters() }),
        sample(DescribeRegions { all_regions: Some(true) }),
        sample(DescribeVpcBlockPublicAccessOptions {}),
        sample(DescribeAddresses { filters: filters() }),
        sample(DescribeKeyPairs { key_names: one("work"), include_public_key: true, filters: filters() }),
        sample(ec2::GetCallerIdentity {}),
        sample(ImportKeyPair {
            key_name: "work".into(),
            public_key_material: "ssh-ed25519 AAAA work".into(),
            tags: tags("key-pair"),
        }),
        sample(DeleteKeyPair { key_pair_id: "key-1".into() }),
        sample(CreateVpc {
            cidr_block: "10.0.0.0/16".into(),
            amazon_provided_ipv6_cidr_block: true,
            tags: tags("vpc"),
        }),
        sample(ModifyVpcAttribute {
            vpc_id: vpc.clone(),
            enable_dns_hostnames: Some(Switch { value: true }),
            enable_dns_support: Some(Switch { value: false }),
        }),
        sample(DeleteVpc { vpc_id: vpc.clone() }),
        sample(CreateSubnet {
            vpc_id: vpc.clone(),
            cidr_block: "10.0.0.0/24".into(),
            ipv6_cidr_block: Some("2001:db8::/64".into()),
            availability_zone: Some("eu-central-1a".into()),
            tags: tags("subnet"),
        }),
        sample(DeleteSubnet { subnet_id: "subnet-1".into() }),
        sample(CreateInternetGateway { tags: tags("internet-gateway") }),
        sample(AttachInternetGateway { internet_gateway_id: gateway.clone(), vpc_id: vpc.clone() }),
        sample(DetachInternetGateway { internet_gateway_id: gateway.clone(), vpc_id: vpc.clone() }),
        sample(DeleteInternetGateway { internet_gateway_id: gateway.clone() }),
        sample(CreateRoute {
            route_table_id: "rtb-1".into(),
            destination_cidr_block: Some("0.0.0.0/0".into()),
            destination_ipv6_cidr_block: Some("::/0".into()),
            gateway_id: gateway,
        }),
        sample(CreateSecurityGroup {
            group_name: "cloudron-example.com".into(),
            group_description: "my.example.com".into(),
            vpc_id: vpc,
            tags: tags("security-group"),
        }),
        sample(AuthorizeSecurityGroupIngress {
            group_id: group.clone(),
            rules: vec![Rule::tcp(22), Rule::tcp(443), icmp, icmp6],
        }),
        sample(DeleteSecurityGroup { group_id: group }),
        sample(launch()),
        sample(TerminateInstances { instance_ids: one("i-1") }),
        sample(StopInstances { instance_ids: one("i-1") }),
        sample(StartInstances { instance_ids: one("i-1") }),
        sample(ModifyInstanceAttribute {
            instance_id: "i-1".into(),
            disable_api_termination: Some(Switch { value: false }),
        }),
        sample(ModifyInstanceMetadataOptions {
            instance_id: "i-1".into(),
            options: MetadataOptions::default(),
        }),
        sample(DescribeInstanceAttribute { instance_id: "i-1".into(), attribute: "userData".into() }),
        sample(GetConsoleOutput { instance_id: "i-1".into(), latest: true }),
        sample(CreateTags { resources: one("i-1"), tags: vec![Tag::new("a", "b")] }),
        sample(AllocateAddress { tags: tags("elastic-ip"), ..AllocateAddress::default() }),
        sample(AssociateAddress {
            allocation_id: "eipalloc-1".into(),
            instance_id: "i-1".into(),
            allow_reassociation: false,
        }),
        sample(DisassociateAddress { association_id: "eipassoc-1".into() }),
        sample(ReleaseAddress { allocation_id: "eipalloc-1".into() }),
        sample(CreateSnapshot {
            volume_id: "vol-1".into(),
            description: "before".into(),
            tags: tags("snapshot"),
        }),
        sample(DeleteSnapshot { snapshot_id: "snap-1".into() }),
    ]
}
