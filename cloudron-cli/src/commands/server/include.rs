//! `cloudron box include`

use cloudron_api::command::IncludeCommand;
use cloudron_box::{Include, Layout, admin};
use cloudron_core::Result;
use serde_json::Value;

use super::{request, value};

/// All of them answer with the folders that are included from then on.
pub(super) fn run(layout: &Layout, command: &IncludeCommand) -> Result<Value> {
    match command {
        IncludeCommand::Add(_) => drop(admin::include_add(layout, request::<Include>()?)?),
        IncludeCommand::Remove(_) => admin::include_remove(layout, &request::<Include>()?.path)?,
        IncludeCommand::List => {}
    }
    value(admin::include_list(layout)?)
}
