//! `cloudron machine destroy`

use cloudron_core::{Error, Result, ResultExt, codes};
use cloudron_provision::Runner;
use serde_json::json;

use super::Which;
use super::create::take_back;
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
    let dirs = Dirs::from_env()?;
    let domain = options.which.domain()?;
    let unfinished = Runner::new(dirs.runs()).unfinished(Some(domain.as_str()))?;
    let machine = Machines::at(dirs.machines()).find(&domain)?;
    if machine.is_none() && unfinished.is_empty() {
        return options.which.machine().map(drop);
    }
    let what = if options.delete_backups { "and ALL ITS BACKUPS" } else { "(its backups stay)" };
    if !out.confirm(&format!("Remove {domain} {what}?"))? {
        return Err(Error::new(&codes::INTERRUPTED, "nothing was removed"));
    }
    let dirs = &dirs;
    for run in &unfinished {
        let undone = block_on(|cancel| async move { take_back(run, dirs, out, &cancel).await });
        forgiven(undone, options, out)?;
        if options.forget {
            Runner::new(dirs.runs()).abandon(&run.run)?;
        }
    }
    if let Some(machine) = &machine {
        forgiven(block_on(|_| remove(options, machine, out)), options, out)?;
        Machines::at(dirs.machines()).remove(&domain)?;
    }
    let kept = machine.as_ref().filter(|_| !options.delete_backups).map(|m| m.store.clone());
    out.data("machines", &json!([{ "fqdn": domain, "destroyed": true, "backups": kept }]), || {
        match (&machine, &kept) {
            (None, _) => format!("What the unfinished run of {domain} made is gone"),
            (_, Some(store)) => format!("{domain} is gone. Its backups stay in {store}"),
            (_, None) => format!("{domain} is gone, and its backups"),
        }
    })
}

/// With `--forget`, a machine that cannot be reached is no reason to stop.
fn forgiven(removed: Result<()>, options: &Options, out: &Output) -> Result<()> {
    match removed {
        Err(error) if options.forget => {
            out.warn(&format!("the machine was not cleaned up: {error}"));
            Ok(())
        }
        other => other.hint(|| "--forget removes only what this computer knows of it".into()),
    }
}

async fn remove(options: &Options, machine: &Machine, out: &Output) -> Result<()> {
    let target = connect::target(machine, out, ASK).await?;
    let keep = if options.delete_backups { "--delete-backups" } else { "--keep-backups" };
    if matches!(machine.reach, Reach::Generic(_)) {
        cloudron_provision::ssh::port::take_back(&*target.remote).await?;
    }
    let _: serde_json::Value = target.call(&["uninstall", keep]).await?;
    Ok(())
}
