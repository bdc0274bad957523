//! Outputs that the steps of a run leave for later steps, as stored in the journal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cloudron_api::restore::RestoreAnswer;
use cloudron_dns::RecordSet;
use cloudron_provision::cloud::MACHINE;
use cloudron_provision::steps::Outputs;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The output of a step.
pub trait StepOutput: Serialize + DeserializeOwned {
    /// The step's name in the journal.
    const STEP: &'static str;

    /// Returns the step's output, if the step is done and its output can be parsed.
    fn of(outputs: &Outputs) -> Option<Self> {
        serde_json::from_value(outputs.get(Self::STEP)?.clone()).ok()
    }
}

/// The result of the first contact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contact {
    /// The machine's host key, as `TYPE BASE64`. `None` for a local machine.
    #[serde(default)]
    pub host_key: Option<String>,
    /// The port that SSH listened on.
    #[serde(default)]
    pub port: Option<u16>,
}

impl StepOutput for Contact {
    const STEP: &'static str = "first-contact";
}

/// The machine that a cloud made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    id: Value,
    /// The IPv4 address.
    #[serde(default)]
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address.
    #[serde(default)]
    pub ipv6: Option<Ipv6Addr>,
    /// The run in the machine's marks.
    pub run: String,
    /// The user to log in as, if it is not root.
    #[serde(default)]
    pub user: Option<String>,
    /// The region or location, if the cloud names it.
    #[serde(default)]
    pub region: Option<String>,
}

impl StepOutput for Made {
    const STEP: &'static str = MACHINE;
}

impl Made {
    /// Returns the machine's ID at the cloud.
    pub fn id(&self) -> String {
        self.id.as_str().map_or_else(|| self.id.to_string(), str::to_owned)
    }

    /// Returns the addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.ipv4.map(IpAddr::from).into_iter().chain(self.ipv6.map(IpAddr::from)).collect()
    }

    /// Returns the address that the machine is reached at.
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses().into_iter().next()
    }
}

/// The host key that a machine made itself in its first session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OwnKey {
    /// The key, as `TYPE BASE64`.
    pub host_key: String,
}

impl StepOutput for OwnKey {
    const STEP: &'static str = "host-key";
}

/// Returns the host key to trust from now on: the one that the machine made itself, otherwise that of the first contact.
pub(crate) fn lasting_key(outputs: &Outputs) -> Option<String> {
    let own = OwnKey::of(outputs).map(|own| own.host_key);
    own.or_else(|| Contact::of(outputs)?.host_key)
}

/// The installer's answer without secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installed {
    /// Certificate of the machine's own authority, PEM.
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

/// The SSH port after the move.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SshMoved {
    /// The port.
    pub port: u16,
}

impl StepOutput for SshMoved {
    const STEP: &'static str = "ssh-port";
}

/// The result for the machine's DNS records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DnsDone {
    /// True if all name servers have the records; `None` if that could not be determined.
    pub agrees: Option<bool>,
    /// The records that were written, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

impl StepOutput for DnsDone {
    const STEP: &'static str = "dns";
}

/// The record sets that were written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Written {
    /// Record sets that exist now and did not exist before.
    pub sets: Vec<RecordSet>,
}
