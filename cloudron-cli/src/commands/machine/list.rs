//! `cloudron machine list`

use cloudron_core::Result;
use cloudron_machine::Listed;

use crate::machines::manager;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Do not ask the machines
    #[arg(long)]
    offline: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let manager = manager(out)?;
    let (machines, mut broken) = manager.machines().all()?;
    let unfinished = manager.unfinished().unwrap_or_else(|error| {
        broken.push(error);
        Vec::new()
    });
    for error in broken.iter().skip(1) {
        out.error(error);
    }
    let mut rows: Vec<Listed> = match options.offline {
        true => machines.iter().map(|machine| Listed::new(machine, None)).collect(),
        false => {
            let answers = interruptible(manager.ask_all(&machines))?;
            machines.iter().zip(answers).map(|(machine, answer)| Listed::new(machine, Some(answer))).collect()
        }
    };
    let advice = "create it again with --resume, or destroy it";
    rows.extend(unfinished.into_iter().map(|run| Listed::unfinished(run, advice)));
    out.data("machines", &rows, || match rows.is_empty() {
        true => "No machines. `cloudron machine create local --fqdn demo.localhost` makes one.".into(),
        false => Listed::table(&rows).render(),
    })?;
    // A record that could not be read is missing from the list, so the command fails.
    broken.into_iter().next().map_or(Ok(()), Err)
}
