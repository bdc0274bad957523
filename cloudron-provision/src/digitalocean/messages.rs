//! Bodies of requests and answers. Only what is used; unknown fields of answers are ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// The body of an answer that is no success.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) request_id: Option<String>,
}

/// An answer: what it is about is under the name of its kind.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) links: Links,
    #[serde(default)]
    pub(super) meta: Option<Meta>,
    #[serde(flatten)]
    pub(super) rest: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Links {
    #[serde(default)]
    pub(super) pages: Option<Pages>,
    #[serde(default)]
    pub(super) actions: Vec<Link>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pages {
    #[serde(default)]
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) id: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) total: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Droplet {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) networks: Networks,
    #[serde(default)]
    pub(super) region: Option<Place>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Networks {
    #[serde(default)]
    pub(super) v4: Vec<Network>,
    #[serde(default)]
    pub(super) v6: Vec<Network>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Network {
    pub(super) ip_address: String,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Place {
    pub(super) slug: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Firewall {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) droplet_ids: Option<Vec<u64>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Key {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) public_key: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Tag {
    pub(super) name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Action {
    pub(super) status: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ReservedIp {
    pub(super) ip: std::net::Ipv4Addr,
    #[serde(default)]
    pub(super) droplet: Option<Holder>,
}

/// The droplet that has a reserved address.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Holder {
    pub(super) id: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Size {
    pub(super) slug: String,
    /// In MiB.
    #[serde(default)]
    pub(super) memory: u64,
    #[serde(default)]
    pub(super) vcpus: u32,
    #[serde(default)]
    pub(super) disk: u64,
    /// In US dollars.
    #[serde(default)]
    pub(super) price_monthly: Option<Number>,
    #[serde(default)]
    pub(super) regions: Vec<String>,
    #[serde(default)]
    pub(super) available: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Region {
    pub(super) slug: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) available: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct NewKey<'a> {
    pub(super) name: &'a str,
    pub(super) public_key: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct NewTag<'a> {
    pub(super) name: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Tagged {
    pub(super) resources: [Resource; 1],
}

#[derive(Debug, Serialize)]
pub(super) struct Resource {
    /// A text here, although IDs of droplets are numbers.
    pub(super) resource_id: String,
    pub(super) resource_type: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct NewFirewall<'a> {
    pub(super) name: &'a str,
    pub(super) inbound_rules: Vec<Inbound>,
    pub(super) outbound_rules: Vec<Outbound>,
    pub(super) tags: [&'a str; 1],
}

#[derive(Debug, Serialize)]
pub(super) struct Inbound {
    pub(super) protocol: &'static str,
    pub(super) ports: &'static str,
    pub(super) sources: Addresses,
}

#[derive(Debug, Serialize)]
pub(super) struct Outbound {
    pub(super) protocol: &'static str,
    pub(super) ports: &'static str,
    pub(super) destinations: Addresses,
}

#[derive(Debug, Serialize)]
pub(super) struct Addresses {
    pub(super) addresses: [&'static str; 2],
}

/// Has no `Debug`: the user-data holds a private key.
#[derive(Serialize)]
pub(super) struct NewDroplet<'a> {
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    pub(super) size: &'a str,
    pub(super) image: &'a str,
    pub(super) ssh_keys: [u64; 1],
    pub(super) ipv6: bool,
    pub(super) monitoring: bool,
    /// The agent would open another way in.
    pub(super) with_droplet_agent: bool,
    pub(super) tags: Vec<String>,
    pub(super) user_data: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct NewReservedIp {
    pub(super) droplet_id: u64,
}
