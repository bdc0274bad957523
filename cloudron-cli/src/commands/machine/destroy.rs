//! `cloudron machine destroy`

use cloudron_core::{Domain, Error, Result, ResultExt, codes};
use cloudron_provision::Runner;
use cloudron_provision::steps::RunSummary;
use serde_json::json;

use super::Which;
use super::create::take_back;
use super::records::{Outcome, Records};
use crate::commands::dns::account::Credentials;
use crate::connect::{self, ASK};
use crate::output::{self, Output};
use crate::runtime::{block_on, interruptible};
use crate::state::{Dirs, DnsRecords, Machine, Machines, Reach};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine destroy demo.localhost
  cloudron machine destroy example.com --delete-backups --yes
  DIGITALOCEAN_TOKEN=… cloudron machine destroy example.com

On a server over SSH the program, its state and its unit are removed, and SSH answers on port 22 again; the
server itself stays yours. The backups stay where they are unless --delete-backups is given.

The DNS records that `create --dns HOST` wrote are removed too, unless somebody changed them since or --keep-dns is
given. When the DNS host cannot be reached the machine is removed all the same, and a warning names the command that
removes the records.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// Remove the backups as well
    #[arg(long)]
    delete_backups: bool,
    /// Forget the machine even when it cannot be reached
    #[arg(long)]
    forget: bool,
    /// Leave the DNS records that its creation wrote
    #[arg(long, conflicts_with_all = ["token", "tsig_key_file"])]
    keep_dns: bool,
    #[command(flatten)]
    credentials: Credentials,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let dirs = Dirs::from_env()?;
    let domain = options.which.domain()?;
    let unfinished = Runner::new(dirs.runs()).unfinished(Some(domain.as_str()))?;
    let machine = Machines::at(dirs.machines()).find(&domain)?;
    if machine.is_none() && unfinished.is_empty() {
        return options.which.machine().map(drop);
    }
    let dirs = &dirs;
    let open = |at: &DnsRecords| Records::open(&domain, at, &options.credentials, dirs, out);
    let records = machine.as_ref().and_then(|machine| machine.dns.as_ref()).map(open).transpose()?;
    let begun = unfinished.iter().map(|run| dns_of(run)?.as_ref().map(open).transpose());
    let begun: Vec<Option<Records>> = begun.collect::<Result<_>>()?;
    let asked = records.iter().chain(begun.iter().flatten()).next();
    if options.credentials.are_given() && asked.is_none() {
        let message = format!("an account at a DNS host means nothing: no records were written for {domain}");
        return Err(Error::new(&codes::USAGE, message));
    }
    if !out.confirm(&question(&domain, options, asked))? {
        return Err(Error::new(&codes::INTERRUPTED, "nothing was removed"));
    }
    for (run, records) in unfinished.iter().zip(begun) {
        let records = records.filter(|_| !options.keep_dns);
        let undone = block_on(|cancel| async move { take_back(run, records, dirs, out, &cancel).await });
        forgiven(undone, options, out)?;
        if options.forget {
            Runner::new(dirs.runs()).abandon(&run.run)?;
        }
    }
    let mut dns = None;
    if let Some(machine) = &machine {
        forgiven(interruptible(remove(options, machine, out)), options, out)?;
        dns = records.map(|records| take_records(&records, options, out)).transpose()?;
        Machines::at(dirs.machines()).remove(&domain)?;
    }
    let kept = machine.as_ref().filter(|_| !options.delete_backups).map(|m| m.store.clone());
    let json = json!([{
        "fqdn": domain, "destroyed": true, "backups": kept, "dns": dns.as_ref().map(Outcome::json),
    }]);
    out.data("machines", &json, || {
        let gone = match (&machine, &kept) {
            (None, _) => format!("What the unfinished run of {domain} made is gone"),
            (_, Some(store)) => format!("{domain} is gone. Its backups stay in {store}"),
            (_, None) => format!("{domain} is gone, and its backups"),
        };
        output::lines([Some(gone), dns.and_then(|dns| dns.gone())].into_iter().flatten())
    })
}

/// The DNS records that an unfinished run was to write.
fn dns_of(run: &RunSummary) -> Result<Option<DnsRecords>> {
    serde_json::from_value(run.spec.inputs["dns"].clone()).map_err(|e| {
        Error::new(&codes::FAILED, format!("the run {} does not say which records it wrote: {e}", run.run))
    })
}

/// What is asked before anything is removed.
fn question(domain: &Domain, options: &Options, records: Option<&Records>) -> String {
    let (mut gone, mut stay) = (vec![domain.to_string()], Vec::new());
    match options.delete_backups {
        true => gone.push("ALL ITS BACKUPS".into()),
        false => stay.push("its backups stay".into()),
    }
    if let Some(records) = records {
        let what = format!("its DNS records at {}", records.host());
        match records.obstacle() {
            _ if options.keep_dns => stay.push(format!("{what} stay")),
            Some(why) => stay.push(format!("{what} stay: {why}")),
            None => gone.push(what),
        }
    }
    let stay = if stay.is_empty() { String::new() } else { format!(" ({})", stay.join("; ")) };
    format!("Remove {}{stay}?", gone.join(" and "))
}

/// Takes the DNS records of a machine back that is gone, or says how to.
fn take_records(records: &Records, options: &Options, out: &Output) -> Result<Outcome> {
    if options.keep_dns {
        return Ok(records.kept("--keep-dns was given"));
    }
    let progress = out.progress();
    let outcome = block_on(|cancel| async move {
        Ok(tokio::select! {
            outcome = records.take_back(&progress) => outcome,
            () = cancel.cancelled() => records.kept("the run was stopped"),
        })
    })?;
    if let Some(stays) = outcome.stays() {
        out.warn(&stays);
    }
    Ok(outcome)
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
