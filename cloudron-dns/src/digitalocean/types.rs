//! Request and response types: <https://docs.digitalocean.com/reference/api/digitalocean/#tag/Domain-Records>.

use serde::{Deserialize, Serialize};

/// A record without its ID: the body of POST and PUT. Names are relative to the zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fields {
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) name: String,
    pub(super) data: String,
    pub(super) ttl: u32,
    // A missing zero is refused, so only fields that do not belong to the type are omitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flags: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
}

/// A record in a response. Old records lack fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Listed {
    pub(super) id: u64,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) data: Option<String>,
    #[serde(default)]
    pub(super) ttl: Option<u32>,
    #[serde(default)]
    pub(super) priority: Option<u16>,
    #[serde(default)]
    pub(super) port: Option<u16>,
    #[serde(default)]
    pub(super) weight: Option<u16>,
    #[serde(default)]
    pub(super) flags: Option<u8>,
    #[serde(default)]
    pub(super) tag: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub(super) domain_record: Listed,
}

/// One page of a list, of records or of zones.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    #[serde(default)]
    pub(super) domain_records: Option<Vec<Listed>>,
    #[serde(default)]
    pub(super) domains: Option<Vec<Domain>>,
    #[serde(default)]
    pub(super) links: Links,
    #[serde(default)]
    pub(super) meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Domain {
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Links {
    #[serde(default)]
    pub(super) pages: Option<Pages>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pages {
    #[serde(default)]
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) total: Option<usize>,
}

/// An error in a response.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) request_id: Option<String>,
}
