//! `cloudron machine retire` and `cloudron machine unretire`

use cloudron_core::Result;

use super::Which;
use crate::machines;
use crate::output::Output;
use crate::runtime::interruptible;
use cloudron_api::BoxCommand;
use cloudron_api::owner::Retired;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

/// Retires the machine, or reverts that.
pub(crate) fn run(options: &Options, retire: bool, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    if retire {
        out.agreed(&format!("Retire {}? It makes no more backups.", machine.fqdn), "nothing was changed")?;
    }
    let command = if retire { BoxCommand::Retire } else { BoxCommand::Unretire };
    let retired: Retired = interruptible(machines::call(&machine, &command, out))?;
    out.data("machine", &retired, || {
        let (now, next) = match retire {
            true => ("retired", format!("`cloudron machine unretire {}` takes that back.", machine.fqdn)),
            false => ("not retired", "It makes its daily backups again.".to_owned()),
        };
        let already = if retired.changed { "" } else { " already" };
        format!("{} is{already} {now}. {next}", machine.fqdn)
    })
}
