//! Status of a server's process.

use serde::{Deserialize, Serialize};

use crate::Status;

/// Status of a server's process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// True if the process runs.
    pub running: bool,
    /// The process ID.
    pub pid: Option<u32>,
    /// The port it is configured to listen on.
    pub port: u16,
    /// Its status, if it answers.
    pub answer: Option<Status>,
    /// Why it does not answer.
    pub problem: Option<String>,
}
