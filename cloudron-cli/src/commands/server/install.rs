//! `cloudron box install` and `uninstall`

use cloudron_box::install::{self, InstallRequest, install, uninstall};
use cloudron_core::Result;
use serde_json::{Value, json};

use super::{Place, Request, value};
use crate::backups::{self, Folder};
use crate::runtime::block_on;

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
    /// Remove the repository of this id all the same when nothing is stored in it
    #[arg(long, value_name = "ID")]
    unused_repository: Option<String>,
}

impl Uninstall {
    pub(super) fn run(&self) -> Result<Value> {
        let layout = self.place.layout();
        if let Some(id) = &self.unused_repository {
            let folder = install::store_folder(&layout)?;
            if let Some(folder) = folder.filter(|folder| folder.is_dir()) {
                block_on(|_| async { backups::remove_unused(&Folder::Near(folder), id).await })?;
            }
        }
        match uninstall(&layout, self.keep_backups) {
            // What is gone already, or never came to be, is removed.
            Err(e) if e.is(&cloudron_box::codes::MACHINE_MISSING) => Ok(json!({ "uninstalled": false })),
            other => other.map(|()| json!({ "uninstalled": true })),
        }
    }
}
