use cloudron_core::table::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The cause of an event: a user, a token made on the machine, or the server itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSource {
    /// The user's name, or for system events `boot`, `cron`, `cli`, `installer`.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's ID.
    #[serde(default)]
    pub user_id: Option<String>,
    /// The client's IP address.
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
    /// Its ID: a number that increases with every entry, as text.
    pub id: String,
    /// The action, such as `backup.finish`.
    pub action: String,
    /// The cause.
    pub source: EventSource,
    /// Details. The keys depend on the action.
    pub data: Value,
    /// Time of the event.
    pub creation_time: Timestamp,
}

/// `GET /api/v1/eventlog?page=1&per_page=25&action=…&search=…&since=…&until=…`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The entries of this page.
    pub eventlogs: Vec<EventEntry>,
    /// Page number, from 1.
    pub page: u32,
    /// The number of entries per page.
    pub per_page: u32,
    /// The number of matching entries.
    pub total: u64,
}

impl EventPage {
    /// Returns a table of the entries. Data is shortened to a line's length unless `full`.
    pub fn table(&self, full: bool) -> Table {
        let mut table = Table::new(["Time", "Action", "Source", "Data"]);
        for event in &self.eventlogs {
            let time = event.creation_time.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            let source = event.source.name().unwrap_or("-").into();
            let data = event.data.to_string();
            let data = match full || data.chars().count() <= 80 {
                true => data,
                false => data.chars().take(79).chain(['…']).collect(),
            };
            table.row([time, event.action.clone(), source, data]);
        }
        table
    }

    /// Returns the number of pages.
    pub fn pages(&self) -> u64 {
        self.total.div_ceil(u64::from(self.per_page.max(1)))
    }
}

/// A line of the server's log. `GET /api/v1/cloudron/logs?lines=100` returns them as JSON lines; with
/// `follow=true` it then streams new lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Time of writing.
    pub time: Timestamp,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// The module that wrote it.
    pub target: String,
    /// The message.
    pub message: String,
    /// Further values: the fields of the event and of the spans around it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}
