use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who caused an event: a user, a token made on the machine, or the server itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSource {
    /// The user's name; for the system's own events `boot`, `cron`, `cli`, `installer`.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's id.
    #[serde(default)]
    pub user_id: Option<String>,
    /// The address that the request came from.
    #[serde(default)]
    pub ip: Option<String>,
}

impl EventSource {
    /// Names who it was, as well as is known.
    pub fn name(&self) -> Option<&str> {
        [&self.username, &self.user_id, &self.ip].into_iter().flatten().next().map(String::as_str)
    }
}

/// An entry of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventEntry {
    /// Its id: a number that rises with every entry, as text.
    pub id: String,
    /// What happened, such as `backup.finish`.
    pub action: String,
    /// Who caused it.
    pub source: EventSource,
    /// What belongs to it; the keys depend on the action.
    pub data: Value,
    /// When it happened.
    pub creation_time: Timestamp,
}

/// `GET /api/v1/eventlog?page=1&per_page=25&action=…&search=…&since=…&until=…`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The entries of this page.
    pub eventlogs: Vec<EventEntry>,
    /// The page's number, from 1.
    pub page: u32,
    /// How many entries a page holds.
    pub per_page: u32,
    /// How many entries match.
    pub total: u64,
}

/// A line of the server's log. `GET /api/v1/cloudron/logs?lines=100` answers JSON lines of these, and
/// `follow=true` goes on with new ones as they come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// When it was written.
    pub time: Timestamp,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// The part of the program that wrote it.
    pub target: String,
    /// The text.
    pub message: String,
    /// Further values: the fields of the event and of the spans around it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}
