//! `cloudron machine destroy`

use cloudron_core::{Error, Result, codes};
use serde_json::json;

use super::Which;
use crate::connect::{self, ASK};
use crate::output::Output;
use crate::runtime::block_on;
use crate::state::{Dirs, Machine, Machines, Reach};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine destroy demo.localhost
  cloudron machine destroy example.com --delete-backups --yes

On a server over SSH the program, its state and its unit are removed, and SSH answers on port 22 again; the
server itself stays yours. The backups stay where they are unless --delete-backups is given.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// Remove the backups as well
    #[arg(long)]
    delete_backups: bool,
    /// Forget the machine even when it cannot be reached
    #[arg(long)]
    forget: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let what = if options.delete_backups { "and ALL ITS BACKUPS" } else { "(its backups stay)" };
    if !out.confirm(&format!("Remove {} {what}?", machine.fqdn))? {
        return Err(Error::new(&codes::INTERRUPTED, "nothing was removed"));
    }
    let dirs = Dirs::from_env()?;
    let removed = block_on(|_| remove(options, &machine, out));
    match removed {
        Err(error) if options.forget => out.warn(&format!("the machine was not reached: {error}")),
        Err(error) => return Err(error.with_hint("--forget removes only what this computer knows of it")),
        Ok(()) => {}
    }
    Machines::at(dirs.machines()).remove(&machine.fqdn)?;
    let kept = (!options.delete_backups).then(|| machine.store.clone());
    out.data("machines", &json!([{ "fqdn": machine.fqdn, "destroyed": true, "backups": kept }]), || {
        match &kept {
            Some(store) => format!("{} is gone. Its backups stay in {store}", machine.fqdn),
            None => format!("{} is gone, and its backups", machine.fqdn),
        }
    })
}

async fn remove(options: &Options, machine: &Machine, out: &Output) -> Result<()> {
    let target = connect::target(machine, out, ASK).await?;
    let keep = if options.delete_backups { "--delete-backups" } else { "--keep-backups" };
    if matches!(machine.reach, Reach::Generic { .. }) {
        cloudron_provision::ssh::port::take_back(&*target.remote).await?;
    }
    let _: serde_json::Value = target.call(&["uninstall", keep]).await?;
    Ok(())
}
