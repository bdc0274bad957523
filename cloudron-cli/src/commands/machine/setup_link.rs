//! `cloudron machine setup-link`

use cloudron_api::codes::ALREADY_ACTIVATED;
use cloudron_api::{BoxCommand, SetupToken};
use cloudron_core::{Error, Result};
use serde_json::json;

use super::Which;
use crate::machines;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let setup: SetupToken =
        interruptible(machines::call(&machine, &BoxCommand::SetupLink, out)).map_err(|error: Error| {
            match error.is(&ALREADY_ACTIVATED) {
                true => error.with_hint(format!("open {} and log in", machine.url())),
                false => error,
            }
        })?;
    let link = setup.link();
    if out.is_json() {
        return out.json_object(json!({ "setupLink": link, "expiresAt": setup.expires_at }));
    }
    out.line(&link)
}
