//! Request and response types: <https://docs.hetzner.cloud/reference/cloud#zone-rrsets>.

use serde::{Deserialize, Serialize};

/// One value of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Value {
    /// In zone file form.
    pub(super) value: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) comment: String,
}

/// The body of `POST rrsets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NewSet {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) ttl: u32,
    pub(super) records: Vec<Value>,
}

/// The body of `actions/set_records`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NewRecords {
    pub(super) records: Vec<Value>,
}

/// The body of `actions/change_ttl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NewTtl {
    pub(super) ttl: u32,
}

/// A set in a response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    /// `None` if the set uses the zone's TTL.
    #[serde(default)]
    pub(super) ttl: Option<u32>,
    #[serde(default)]
    pub(super) protection: Protection,
    #[serde(default)]
    pub(super) records: Vec<Value>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Protection {
    #[serde(default)]
    pub(super) change: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ListedZone {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) ttl: u32,
    #[serde(default)]
    pub(super) authoritative_nameservers: NameServers,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct NameServers {
    #[serde(default)]
    pub(super) assigned: Vec<String>,
}

/// One page of a list, of sets, zones or actions.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    #[serde(default)]
    pub(super) rrsets: Option<Vec<Listed>>,
    #[serde(default)]
    pub(super) zones: Option<Vec<ListedZone>>,
    #[serde(default)]
    pub(super) actions: Option<Vec<Action>>,
    #[serde(default)]
    pub(super) meta: Meta,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) pagination: Pagination,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pagination {
    #[serde(default)]
    pub(super) next_page: Option<usize>,
    #[serde(default)]
    pub(super) total_entries: Option<usize>,
}

/// A response with one set or zone.
#[derive(Debug, Deserialize)]
pub(super) struct One {
    #[serde(default)]
    pub(super) rrset: Option<Listed>,
    #[serde(default)]
    pub(super) zone: Option<ListedZone>,
}

/// The response to most changes, which continue after it.
#[derive(Debug, Deserialize)]
pub(super) struct Started {
    pub(super) action: Action,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    /// `running`, `success` or `error`.
    pub(super) status: String,
    #[serde(default)]
    pub(super) error: Option<Complaint>,
}

/// An error in a response.
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
    /// The invalid fields, in a form that depends on the code.
    #[serde(default)]
    pub(super) details: serde_json::Value,
}
