//! `cloudron box include`

use clap::Subcommand;
use cloudron_box::{Include, admin};
use cloudron_core::Result;
use serde_json::Value;

use super::{Place, Request, value};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add the folder of the request on standard input
    Add(Request),
    /// Remove the folder of the request on standard input
    Remove(Request),
    /// List the folders
    List(Place),
}

impl Command {
    /// All of them answer with the folders that are included from then on.
    pub(super) fn run(self) -> Result<Value> {
        let layout = match self {
            Self::Add(request) => {
                let layout = request.place.layout();
                admin::include_add(&layout, request.read::<Include>()?)?;
                layout
            }
            Self::Remove(request) => {
                let layout = request.place.layout();
                admin::include_remove(&layout, &request.read::<Include>()?.path)?;
                layout
            }
            Self::List(place) => place.layout(),
        };
        value(admin::include_list(&layout)?)
    }
}
