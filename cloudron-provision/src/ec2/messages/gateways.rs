//! The way from a network to the internet: gateways and routes.

use serde::{Deserialize, Serialize};

use super::{Done, Set, Tag, TagSpecification};
use crate::ec2::action::{action, listing};

/// Creates an internet gateway. It has no token: look for the tags first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CreateInternetGateway {
    /// Tags of `internet-gateway`.
    #[serde(rename = "TagSpecification")]
    pub tags: Vec<TagSpecification>,
}

/// The answer to [`CreateInternetGateway`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedGateway {
    /// The gateway.
    pub internet_gateway: InternetGateway,
}

/// An internet gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InternetGateway {
    /// The ID.
    pub internet_gateway_id: String,
    /// The networks that it serves: one or none.
    #[serde(rename = "attachmentSet", default)]
    pub attachments: Set<Attachment>,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

/// The network that a gateway serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attachment {
    /// The network.
    pub vpc_id: String,
    /// `available`, `attaching` or `detaching`.
    pub state: String,
}

action!(CreateInternetGateway, once, CreatedGateway);

listing! {
    /// Lists internet gateways.
    DescribeInternetGateways {
        /// IDs of gateways.
        #[serde(rename = "InternetGatewayId")]
        internet_gateway_ids: Vec<String>,
    } => InternetGateways.gateways "internetGatewaySet": InternetGateway
}

/// Attaches a gateway to a network. Twice fails as [`Exists`](crate::ec2::Meaning::Exists).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachInternetGateway {
    /// The gateway.
    pub internet_gateway_id: String,
    /// The network.
    pub vpc_id: String,
}

action!(AttachInternetGateway, repeatable, Done);

/// Detaches a gateway. Twice fails as [`Missing`](crate::ec2::Meaning::Missing).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetachInternetGateway {
    /// The gateway.
    pub internet_gateway_id: String,
    /// The network.
    pub vpc_id: String,
}

action!(DetachInternetGateway, repeatable, Done);

/// Deletes a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteInternetGateway {
    /// The gateway.
    pub internet_gateway_id: String,
}

action!(DeleteInternetGateway, repeatable, Done);

listing! {
    /// Lists route tables.
    DescribeRouteTables {
        /// IDs of tables.
        #[serde(rename = "RouteTableId")]
        route_table_ids: Vec<String>,
    } => RouteTables.tables "routeTableSet": RouteTable
}

/// A route table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteTable {
    /// The ID.
    pub route_table_id: String,
    /// The network.
    #[serde(default)]
    pub vpc_id: String,
    /// Its routes.
    #[serde(rename = "routeSet", default)]
    pub routes: Set<Route>,
    /// The associations.
    #[serde(rename = "associationSet", default)]
    pub associations: Set<RouteAssociation>,
}

/// A route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Route {
    /// Where to, in IPv4.
    pub destination_cidr_block: Option<String>,
    /// Where to, in IPv6.
    pub destination_ipv6_cidr_block: Option<String>,
    /// The gateway that it goes through, or `local`.
    pub gateway_id: Option<String>,
    /// `active` or `blackhole`.
    pub state: String,
}

/// The association of a route table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteAssociation {
    /// True if it is for all subnets that have no table of their own.
    pub main: bool,
    /// The subnet.
    pub subnet_id: Option<String>,
}

/// Creates a route; `destination_cidr_block` or `destination_ipv6_cidr_block` is given. Twice fails as
/// [`Exists`](crate::ec2::Meaning::Exists).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRoute {
    /// The table.
    pub route_table_id: String,
    /// Where to, in IPv4.
    pub destination_cidr_block: Option<String>,
    /// Where to, in IPv6.
    pub destination_ipv6_cidr_block: Option<String>,
    /// The gateway.
    pub gateway_id: String,
}

action!(CreateRoute, once, Done);
