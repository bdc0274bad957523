//! Security groups.

use serde::{Deserialize, Serialize};

use super::{Done, Set, Tag, TagSpecification};
use crate::ec2::action::{action, listing};

/// Creates a group. Its name is unique in a network, so that a second creation fails as [`Exists`](crate::ec2::Meaning::Exists).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSecurityGroup {
    /// The name.
    pub group_name: String,
    /// The description.
    pub group_description: String,
    /// The network.
    pub vpc_id: String,
    /// Tags of `security-group`.
    #[serde(rename = "TagSpecification")]
    pub tags: Vec<TagSpecification>,
}

/// The answer to [`CreateSecurityGroup`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedGroup {
    /// The ID.
    pub group_id: String,
}

action!(CreateSecurityGroup, once, CreatedGroup);

/// Adds rules for what comes in. If one of them exists, none is added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthorizeSecurityGroupIngress {
    /// The group.
    pub group_id: String,
    /// The rules.
    #[serde(rename = "IpPermissions")]
    pub rules: Vec<Rule>,
}

/// A rule, with the names of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rule {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, or `-1` for all.
    pub ip_protocol: String,
    /// The first port, or the type of ICMP.
    pub from_port: i32,
    /// The last port, or the code of ICMP.
    pub to_port: i32,
    /// From where, in IPv4.
    #[serde(rename = "IpRanges")]
    pub ranges: Vec<Range>,
    /// From where, in IPv6.
    #[serde(rename = "Ipv6Ranges")]
    pub ranges6: Vec<Range6>,
}

impl Rule {
    /// One TCP port, from everywhere.
    pub fn tcp(port: u16) -> Self {
        Self::from_everywhere("tcp", port.into(), port.into())
    }

    /// All ICMP of both families, from everywhere.
    pub fn icmp() -> [Self; 2] {
        let [mut v4, mut v6] = ["icmp", "icmpv6"].map(|protocol| Self::from_everywhere(protocol, -1, -1));
        v4.ranges6.clear();
        v6.ranges.clear();
        [v4, v6]
    }

    fn from_everywhere(protocol: &str, from_port: i32, to_port: i32) -> Self {
        Self {
            ip_protocol: protocol.into(),
            from_port,
            to_port,
            ranges: vec![Range { cidr_ip: "0.0.0.0/0".into() }],
            ranges6: vec![Range6 { cidr_ipv6: "::/0".into() }],
        }
    }
}

/// A range of IPv4 addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "PascalCase", deserialize = "camelCase"))]
pub struct Range {
    /// The range, such as `0.0.0.0/0`.
    pub cidr_ip: String,
}

/// A range of IPv6 addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range6 {
    /// The range, such as `::/0`.
    #[serde(rename(serialize = "CidrIpv6", deserialize = "cidrIpv6"))]
    pub cidr_ipv6: String,
}

action!(AuthorizeSecurityGroupIngress, once, Done);

listing! {
    /// Lists groups.
    DescribeSecurityGroups {
        /// IDs of groups.
        #[serde(rename = "GroupId")]
        group_ids: Vec<String>,
    } => SecurityGroups.groups "securityGroupInfo": SecurityGroup
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityGroup {
    /// The ID.
    pub group_id: String,
    /// The name.
    #[serde(default)]
    pub group_name: String,
    /// The network.
    #[serde(default)]
    pub vpc_id: String,
    /// The rules for what comes in.
    #[serde(rename = "ipPermissions", default)]
    pub rules: Set<KnownRule>,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

/// A rule, with the names of answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KnownRule {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, or `-1` for all.
    pub ip_protocol: String,
    /// The first port, or the type of ICMP. Absent for all protocols.
    pub from_port: Option<i32>,
    /// The last port, or the code of ICMP. Absent for all protocols.
    pub to_port: Option<i32>,
    /// From where, in IPv4.
    #[serde(rename = "ipRanges")]
    pub ranges: Set<Range>,
    /// From where, in IPv6.
    #[serde(rename = "ipv6Ranges")]
    pub ranges6: Set<Range6>,
}

/// Deletes a group. It fails as [`InUse`](crate::ec2::Meaning::InUse) while an instance that has it is being terminated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSecurityGroup {
    /// The group.
    pub group_id: String,
}

action!(DeleteSecurityGroup, repeatable, Done);
