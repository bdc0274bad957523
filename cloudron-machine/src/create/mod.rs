//! Creating a machine: a list of steps with a journal, so that a run that was cut off is resumed or undone.

mod begun;
mod cloud;
mod copy;
mod ready;
mod recipe;
mod report;
mod repository;
mod request;
mod run;
mod script;
mod steps;
mod undo;
mod writer;

pub use begun::Begun;
pub use cloud::DryRun;
pub use repository::Unconfirmed;
pub use request::{CreateRequest, Dns, GenericHost, LocalHost, On};

use std::sync::Arc;

use cloudron_api::SetupToken;
use cloudron_api::restore::RestoreAnswer;
use cloudron_core::{Domain, Error, Secret};
use cloudron_provision::CloudProvider;
use cloudron_provision::steps::ready::PlaceProgram;

use crate::codes;
use crate::dns::{CheckRecords, WriteRecords};
use crate::manager::Manager;
use crate::outputs::DnsDone;
use crate::program::Place;
use crate::registry::{DnsRecords, Machine, Reach};
use cloud::AtCloud;
use repository::Chosen;
use script::Script;

/// A machine to be created, checked as far as possible without a connection.
pub struct Creation {
    manager: Manager,
    request: CreateRequest,
    provider: Arc<dyn CloudProvider>,
    program: PlaceProgram,
    place: Place,
    /// How the machine is reached before the run has recorded more.
    origin: Reach,
    /// The store's address as seen from the machine.
    machine_store: String,
    chosen: Chosen,
    begun: Option<Begun>,
    repository: repository::Place,
    dns: Option<Records>,
    /// The setup script, once it was read.
    script: Option<Script>,
    cloud: Option<AtCloud>,
}

/// How DNS records are handled.
enum Records {
    Write(Arc<WriteRecords>, Box<DnsRecords>),
    Check(Arc<CheckRecords>),
    /// Written if the account has a zone for them, otherwise checked.
    Either(Arc<WriteRecords>, Box<DnsRecords>, Arc<CheckRecords>),
}

/// The result of creating a machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Created {
    /// The machine's record.
    pub machine: Machine,
    /// The result of the restore.
    pub restored: Option<RestoreAnswer>,
    /// The backup key, if it was generated. It is stored nowhere.
    pub backup_key: Option<Secret>,
    /// The token for the first-time setup, if that is not done yet.
    pub setup: Option<SetupToken>,
    /// True if the port of its page answers this computer.
    pub reachable: bool,
    /// The result for its DNS records, if there was anything to do.
    pub dns: Option<DnsDone>,
}

/// The domain of a server that is already on a machine, as the source of an error.
#[derive(Debug)]
pub struct Occupied(
    /// The domain.
    pub Domain,
);

impl std::fmt::Display for Occupied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Occupied {}

/// Returns the error for a name that is taken on this computer.
fn known(domain: &Domain) -> Error {
    Error::new(&codes::MACHINE_KNOWN, format!("the machine {domain} exists already"))
}
