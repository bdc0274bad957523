//! What the steps of a run leave for later ones, as the journal keeps it.

use cloudron_api::restore::RestoreAnswer;
use cloudron_dns::RecordSet;
use cloudron_provision::steps::Outputs;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The output of a step.
pub trait StepOutput: Serialize + DeserializeOwned {
    /// The step's name in the journal.
    const STEP: &'static str;

    /// The step's output, when it is done and can be understood.
    fn of(outputs: &Outputs) -> Option<Self> {
        serde_json::from_value(outputs.get(Self::STEP)?.clone()).ok()
    }
}

/// What the first contact found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contact {
    /// The machine's host key, as `TYPE BASE64`. A local machine has none.
    #[serde(default)]
    pub host_key: Option<String>,
    /// The port that SSH listened on.
    #[serde(default)]
    pub port: Option<u16>,
}

impl StepOutput for Contact {
    const STEP: &'static str = "first-contact";
}

/// What the installer answered, but for secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installed {
    /// The certificate of the machine's own authority: PEM.
    pub ca_pem: String,
    /// The port that the server listens on.
    pub port: u16,
}

impl StepOutput for Installed {
    const STEP: &'static str = "server";
}

impl StepOutput for RestoreAnswer {
    const STEP: &'static str = "restore";
}

/// Where SSH listens since it moved.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SshMoved {
    /// The port.
    pub port: u16,
}

impl StepOutput for SshMoved {
    const STEP: &'static str = "ssh-port";
}

/// What became of the machine's DNS records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DnsDone {
    /// Whether all name servers have them; `None` when that could not be found out.
    pub agrees: Option<bool>,
    /// What was written, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

impl StepOutput for DnsDone {
    const STEP: &'static str = "dns";
}

/// The sets that were written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Written {
    /// Those that are there now and were not before.
    pub sets: Vec<RecordSet>,
}
