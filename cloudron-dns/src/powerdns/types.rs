//! Request and response types: <https://doc.powerdns.com/authoritative/http-api/zone.html>.

use serde::{Deserialize, Serialize};

/// A zone, with its sets if they were requested.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Zone {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) rrsets: Vec<Listed>,
}

/// A record set in a response.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) ttl: u32,
    pub(super) records: Vec<Record>,
}

/// A value of a set, in zone file form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) content: String,
    #[serde(default)]
    pub(super) disabled: bool,
}

/// The body of PATCH.
#[derive(Debug, Serialize)]
pub(super) struct Patch {
    pub(super) rrsets: Vec<Change>,
}

/// The change of one set. Comments that are not mentioned stay.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) changetype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) records: Option<Vec<Record>>,
}

/// An error in a response.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) error: String,
}
