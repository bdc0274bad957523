//! `cloudron machine start`

use cloudron_api::{BoxCommand, ServiceStatus};
use cloudron_core::Result;

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
    let status: ServiceStatus = interruptible(machines::call(&machine, &BoxCommand::Start, out))?;
    out.data("server", &status, || format!("{} is running", machine.fqdn))
}
