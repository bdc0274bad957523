//! `cloudron box install` and `uninstall`

use cloudron_box::install::{InstallRequest, install, uninstall};
use cloudron_core::Result;
use serde_json::{Value, json};

use super::{Place, Request, value};

pub(super) fn run(request: &Request) -> Result<Value> {
    value(install(&request.place.layout(), &request.read::<InstallRequest>()?)?)
}

#[derive(Debug, clap::Args)]
pub(crate) struct Uninstall {
    #[command(flatten)]
    place: Place,
    /// Leave the backups
    #[arg(long, required_unless_present = "delete_backups")]
    keep_backups: bool,
    /// Remove the backups as well
    #[arg(long, conflicts_with = "keep_backups")]
    delete_backups: bool,
}

impl Uninstall {
    pub(super) fn run(&self) -> Result<Value> {
        match uninstall(&self.place.layout(), self.keep_backups) {
            // What is gone already, or never came to be, is removed.
            Err(e) if e.is(&cloudron_box::codes::MACHINE_MISSING) => Ok(json!({ "uninstalled": false })),
            other => other.map(|()| json!({ "uninstalled": true })),
        }
    }
}
