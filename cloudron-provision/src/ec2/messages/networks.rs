//! Networks and subnets.

use serde::{Deserialize, Serialize};

use super::{Done, Set, Switch, Tag, TagSpecification};
use crate::ec2::action::{action, listing};

listing! {
    /// Lists networks.
    DescribeVpcs {
        /// IDs of networks.
        #[serde(rename = "VpcId")]
        vpc_ids: Vec<String>,
    } => Vpcs.vpcs "vpcSet": Vpc
}

/// A network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vpc {
    /// The ID.
    pub vpc_id: String,
    /// `pending` or `available`.
    #[serde(default)]
    pub state: String,
    /// Its IPv4 addresses.
    #[serde(default)]
    pub cidr_block: String,
    /// True if it is the one that AWS made for the account.
    #[serde(default)]
    pub is_default: bool,
    /// Its IPv6 addresses.
    #[serde(rename = "ipv6CidrBlockAssociationSet", default)]
    pub ipv6: Set<Ipv6Block>,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

/// IPv6 addresses of a network or subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ipv6Block {
    /// The addresses.
    pub ipv6_cidr_block: String,
    /// The state of the addresses.
    pub ipv6_cidr_block_state: BlockState,
}

/// The state of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct BlockState {
    /// `associating`, `associated`, `disassociating`, `disassociated`, `failing` or `failed`.
    pub state: String,
}

/// Creates a network. It has no token: look for the tags first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateVpc {
    /// Its IPv4 addresses, such as `10.0.0.0/16`.
    pub cidr_block: String,
    /// True if it gets IPv6 addresses.
    pub amazon_provided_ipv6_cidr_block: bool,
    /// Tags of `vpc`.
    #[serde(rename = "TagSpecification")]
    pub tags: Vec<TagSpecification>,
}

/// The answer to [`CreateVpc`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CreatedVpc {
    /// The network.
    pub vpc: Vpc,
}

action!(CreateVpc, once, CreatedVpc);

/// Changes one attribute of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyVpcAttribute {
    /// The network.
    pub vpc_id: String,
    /// Turns DNS names of instances on or off. `None` leaves the setting.
    pub enable_dns_hostnames: Option<Switch>,
    /// Turns AWS's resolver on or off. `None` leaves the setting.
    pub enable_dns_support: Option<Switch>,
}

action!(ModifyVpcAttribute, repeatable, Done);

/// Deletes a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteVpc {
    /// The network.
    pub vpc_id: String,
}

action!(DeleteVpc, repeatable, Done);

listing! {
    /// Lists subnets.
    DescribeSubnets {
        /// IDs of subnets.
        #[serde(rename = "SubnetId")]
        subnet_ids: Vec<String>,
    } => Subnets.subnets "subnetSet": Subnet
}

/// A subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subnet {
    /// The ID.
    pub subnet_id: String,
    /// The network.
    #[serde(default)]
    pub vpc_id: String,
    /// `pending` or `available`.
    #[serde(default)]
    pub state: String,
    /// Its IPv4 addresses.
    #[serde(default)]
    pub cidr_block: String,
    /// The zone.
    #[serde(default)]
    pub availability_zone: String,
    /// The number of free IPv4 addresses.
    #[serde(default)]
    pub available_ip_address_count: u32,
    /// True if it is the one that AWS made for the zone.
    #[serde(default)]
    pub default_for_az: bool,
    /// True if instances get a public IPv4 address unless they are told otherwise.
    #[serde(default)]
    pub map_public_ip_on_launch: bool,
    /// True if instances get an IPv6 address unless they are told otherwise.
    #[serde(default)]
    pub assign_ipv6_address_on_creation: bool,
    /// Its IPv6 addresses.
    #[serde(rename = "ipv6CidrBlockAssociationSet", default)]
    pub ipv6: Set<Ipv6Block>,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

/// Creates a subnet. The same addresses twice in a network fail as [`Exists`](crate::ec2::Meaning::Exists).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSubnet {
    /// The network.
    pub vpc_id: String,
    /// Its IPv4 addresses.
    pub cidr_block: String,
    /// Its IPv6 addresses: 64 bits of those of the network.
    pub ipv6_cidr_block: Option<String>,
    /// The zone.
    pub availability_zone: Option<String>,
    /// Tags of `subnet`.
    #[serde(rename = "TagSpecification")]
    pub tags: Vec<TagSpecification>,
}

/// The answer to [`CreateSubnet`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CreatedSubnet {
    /// The subnet.
    pub subnet: Subnet,
}

action!(CreateSubnet, once, CreatedSubnet);

/// Deletes a subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSubnet {
    /// The subnet.
    pub subnet_id: String,
}

action!(DeleteSubnet, repeatable, Done);

listing! {
    /// Lists network interfaces: what holds a group or subnet that cannot be deleted.
    DescribeNetworkInterfaces {
        /// IDs of interfaces.
        #[serde(rename = "NetworkInterfaceId")]
        network_interface_ids: Vec<String>,
    } => NetworkInterfaces.interfaces "networkInterfaceSet": NetworkInterface
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterface {
    /// The ID.
    pub network_interface_id: String,
    /// The description by its creator, such as `ELB app/…`.
    #[serde(default)]
    pub description: String,
    /// `available`, `in-use`, `attaching`, `detaching`.
    #[serde(default)]
    pub status: String,
    /// `interface`, `nat_gateway`, `lambda` and others.
    #[serde(default)]
    pub interface_type: String,
    /// The attachment.
    #[serde(default)]
    pub attachment: InterfaceAttachment,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

/// The attachment of a network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InterfaceAttachment {
    /// The instance.
    pub instance_id: Option<String>,
}
