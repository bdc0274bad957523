//! Bodies of requests and answers. Only what is used; unknown fields of answers are ignored.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) type Labels = BTreeMap<String, String>;

/// The body of an answer that is no success.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) error: Complaint,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Complaint {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) details: Value,
}

/// A list: its entries are under the name of their kind.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    #[serde(flatten)]
    pub(super) rest: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Meta {
    pub(super) pagination: Pagination,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pagination {
    #[serde(default)]
    pub(super) next_page: Option<u64>,
    #[serde(default)]
    pub(super) total_entries: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Server {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) public_net: PublicNet,
    #[serde(default)]
    pub(super) location: Option<Place>,
}

/// The location of a server.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Place {
    pub(super) name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct PublicNet {
    #[serde(default)]
    pub(super) ipv4: Option<Address>,
    #[serde(default)]
    pub(super) ipv6: Option<Address>,
    #[serde(default)]
    pub(super) firewalls: Vec<Applied>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Address {
    pub(super) ip: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Applied {
    pub(super) id: u64,
}

/// An SSH key, a firewall or a network.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Named {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) public_key: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) status: String,
    #[serde(default)]
    pub(super) error: Option<Complaint>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CreatedServer {
    pub(super) server: Server,
    pub(super) action: Action,
}

#[derive(Debug, Deserialize)]
pub(super) struct OneServer {
    pub(super) server: Server,
}

#[derive(Debug, Deserialize)]
pub(super) struct OneAction {
    pub(super) action: Action,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ServerType {
    pub(super) name: String,
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) cores: u32,
    /// In GB, as Hetzner calls 2^30 bytes.
    #[serde(default)]
    pub(super) memory: f64,
    #[serde(default)]
    pub(super) disk: u64,
    #[serde(default)]
    pub(super) prices: Vec<Price>,
    #[serde(default)]
    pub(super) locations: Vec<Offer>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Location {
    pub(super) name: String,
    pub(super) network_zone: String,
    #[serde(default)]
    pub(super) city: String,
    #[serde(default)]
    pub(super) country: String,
}

/// The availability of a type at a location.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Offer {
    pub(super) name: String,
    #[serde(default)]
    pub(super) available: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Price {
    pub(super) location: String,
    pub(super) price_monthly: Net,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Net {
    pub(super) net: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Prices {
    pub(super) pricing: Pricing,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pricing {
    pub(super) currency: String,
    #[serde(default)]
    pub(super) primary_ips: Vec<AddressPrices>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AddressPrices {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) prices: Vec<Price>,
}

#[derive(Debug, Serialize)]
pub(super) struct NewKey<'a> {
    pub(super) name: &'a str,
    pub(super) public_key: &'a str,
    pub(super) labels: Labels,
}

#[derive(Debug, Serialize)]
pub(super) struct NewFirewall<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Labels,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
pub(super) struct Rule {
    pub(super) direction: &'static str,
    pub(super) protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<&'static str>,
    pub(super) source_ips: [&'static str; 2],
    pub(super) description: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct NewNetwork<'a> {
    pub(super) name: &'a str,
    pub(super) ip_range: &'static str,
    pub(super) subnets: [Subnet<'a>; 1],
    pub(super) labels: Labels,
}

#[derive(Debug, Serialize)]
pub(super) struct Subnet<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) ip_range: &'static str,
    pub(super) network_zone: &'a str,
}

/// Has no `Debug`: the user-data holds a private key.
#[derive(Serialize)]
pub(super) struct NewServer<'a> {
    pub(super) name: &'a str,
    pub(super) server_type: &'a str,
    pub(super) image: &'a str,
    pub(super) location: &'a str,
    pub(super) ssh_keys: [u64; 1],
    pub(super) firewalls: [FirewallOf; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) networks: Vec<u64>,
    pub(super) labels: Labels,
    pub(super) user_data: &'a str,
    pub(super) start_after_create: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct FirewallOf {
    pub(super) firewall: u64,
}

/// The name of an address. None is Hetzner's own.
#[derive(Debug, Serialize)]
pub(super) struct ReverseName<'a> {
    pub(super) ip: IpAddr,
    pub(super) dns_ptr: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct NewLabels {
    pub(super) labels: Labels,
}
