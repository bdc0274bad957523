//! `cloudron machine list`

use cloudron_core::Result;
use cloudron_machine::Listed;
use cloudron_machine::clouds::{InCloud, Provider, Recorded};

use crate::commands::cloud::account::{Account, provider};
use crate::machines::manager;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Do not ask the machines
    #[arg(long, conflicts_with = "provider")]
    offline: bool,
    /// List all machines of the account at this cloud instead, made from any computer
    #[arg(long, value_name = "CLOUD", value_parser = provider())]
    provider: Option<Provider>,
    #[command(flatten)]
    account: Account,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    match options.provider {
        Some(cloud) => at_cloud(cloud, &options.account, out),
        None => options.account.unused().and_then(|()| known(options, out)),
    }
}

/// Lists the machines of an account.
fn at_cloud(cloud: Provider, account: &Account, out: &Output) -> Result<()> {
    let manager = account.manager(cloud, out)?;
    let machines = interruptible(manager.cloud_machines())?;
    out.data("machines", &machines, || match machines.is_empty() {
        true => format!("{} has no machines of this program.", cloud.description()),
        false => InCloud::table(&machines).render(),
    })?;
    let id = cloud.id();
    for InCloud { fqdn, recorded, .. } in &machines {
        match recorded {
            Recorded::Yes => {}
            Recorded::No => out.say(&format!(
                "`cloudron machine adopt {fqdn} --provider {id}` manages {fqdn} from here, or `cloudron machine destroy {fqdn} \
                 --provider {id}` removes it."
            )),
            Recorded::Unfinished => out.say(&format!("`cloudron machine destroy {fqdn}` removes {fqdn}, which is not finished.")),
            Recorded::Gone => out.say(&format!("`cloudron machine destroy {fqdn} --forget` removes the record of {fqdn}.")),
        }
    }
    Ok(())
}

/// Lists the machines that this computer knows.
fn known(options: &Options, out: &Output) -> Result<()> {
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
