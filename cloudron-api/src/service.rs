//! Whether a server runs and answers.

use serde::{Deserialize, Serialize};

use crate::Status;

/// Whether a server runs and answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Whether its process runs.
    pub running: bool,
    /// Its process id.
    pub pid: Option<u32>,
    /// The port that it is set to listen on.
    pub port: u16,
    /// What it says of itself, when it answers.
    pub answer: Option<Status>,
    /// Why it does not answer, when it does not.
    pub problem: Option<String>,
}
