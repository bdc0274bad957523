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
#[command(after_help = "Examples:
  cloudron machine setup-link example.com

The link works once and for a day; the one before stops working. Its token stands in the part of the
address that browsers send to nobody.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let setup: SetupToken =
        interruptible(async { machines::reach(&machine, out).await?.call(&BoxCommand::SetupLink).await })
            .map_err(|error: Error| match error.is(&ALREADY_ACTIVATED) {
                true => error.with_hint(format!("open {} and log in", machine.url())),
                false => error,
            })?;
    let link = link(&setup);
    if out.is_json() {
        return out.json_object(json!({ "setupLink": link, "expiresAt": setup.expires_at }));
    }
    out.line(&link)
}

/// The address to open for the first-time setup.
pub(super) fn link(setup: &SetupToken) -> String {
    format!("{}#setup={}", setup.page, setup.token.expose())
}
