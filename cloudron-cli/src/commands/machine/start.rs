//! `cloudron machine start`

use cloudron_api::{BoxCommand, ServiceStatus};
use cloudron_core::Result;

use super::Which;
use crate::machines;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine start demo.localhost

A machine of its own starts its server by itself; a local one must be started after this computer was.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let status: ServiceStatus = interruptible(machines::call(&machine, &BoxCommand::Start, out))?;
    out.data("server", &status, || format!("{} is running", machine.fqdn))
}
