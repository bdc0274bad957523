//! Request and response types: <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.

use serde::{Deserialize, Serialize};

/// A record in a request: the body of an entry of `posts`, and with an ID that of an entry of `patches`. Comment, tags,
/// settings and the proxied state are never sent, so that an existing record keeps them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) name: String,
    pub(super) ttl: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Data>,
}

/// The parts of a CAA or SRV record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Data {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) flags: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<String>,
}

/// A record in a response.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Listed {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) content: Option<String>,
    pub(super) ttl: u32,
    #[serde(default)]
    pub(super) priority: Option<u16>,
    /// Fields that depend on the type.
    #[serde(default)]
    pub(super) data: serde_json::Value,
    #[serde(default)]
    pub(super) proxied: Option<bool>,
    #[serde(default)]
    pub(super) meta: Option<Meta>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Meta {
    /// Managed by Cloudflare itself, such as the mail servers of its Email Routing.
    #[serde(default)]
    pub(super) read_only: bool,
}

/// The body of `POST dns_records/batch`.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct BatchBody {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) deletes: Vec<Id>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) patches: Vec<Fields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) posts: Vec<Fields>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Id {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ListedZone {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) name_servers: Option<Vec<String>>,
}

/// The envelope of every response.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) success: bool,
    pub(super) result: Option<T>,
    #[serde(default)]
    pub(super) result_info: Option<ResultInfo>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResultInfo {
    pub(super) page: usize,
    #[serde(default)]
    pub(super) total_pages: Option<usize>,
    #[serde(default)]
    pub(super) total_count: Option<usize>,
}

/// An error in a response.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) errors: Vec<Complaint>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Complaint {
    #[serde(default)]
    pub(super) code: u32,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) error_chain: Vec<Complaint>,
}
