//! `cloudron machine destroy`

use std::sync::Arc;

use cloudron_api::BoxCommand;
use cloudron_api::command::Uninstall;
use cloudron_api::owner::Uninstalled;
use cloudron_core::{Domain, Error, Result, codes};
use cloudron_provision::steps::RunSummary;
use cloudron_provision::{Command, Runner, answer, codes as provision};
use serde_json::json;

use super::create::{SSH_PORT, take_back};
use super::records::{Outcome, Records};
use super::{Found, Which, kept};
use crate::backups::{self, Folder, RemoteFolder, folder_of};
use crate::commands::dns::account::Credentials;
use crate::connect::{self, ASK};
use crate::output::{self, Output};
use crate::runtime::block_on;
use crate::ssh;
use crate::state::{Dirs, DnsRecords, Kept, KeptBackups, Machine, Machines, Reach};
use crate::target::{Place, Target};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine destroy demo.localhost
  cloudron machine destroy example.com --delete-backups --yes
  DIGITALOCEAN_TOKEN=… cloudron machine destroy example.com

On a server over SSH the program, its state and its unit are removed, and SSH answers on port 22 again; the
server itself stays yours. The backups stay where they are unless --delete-backups is given, also later: the computer
remembers where they are, and `backup list`, `backup download` and `backup verify` read them there.

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
    match (options.which.machine_or_kept(), unfinished.is_empty()) {
        (Ok(Found::Machine(machine)), _) => living(options, *machine, &unfinished, &dirs, out),
        (_, false) => begun(options, &domain, &unfinished, &dirs, out),
        (Ok(Found::Kept(kept)), true) => left(options, &kept, &dirs, out),
        (Err(unknown), true) => Err(unknown),
    }
}

/// Destroys a machine.
fn living(options: &Options, machine: Machine, runs: &[RunSummary], dirs: &Dirs, out: &Output) -> Result<()> {
    let domain = &machine.fqdn;
    let records = machine.dns.as_ref().map(|at| records(options, domain, at, dirs, out)).transpose()?;
    usable(options, domain, records.as_ref())?;
    // A bucket is out of the machine's hands: that it can be emptied from here comes first.
    let bucket = bucket(options, &machine)?;
    agreed(options, domain, records.as_ref(), out)?;
    let removed = block_on(|_| remove(options, &machine, bucket.as_ref(), dirs, out));
    let forgotten = removed.is_err() && options.forget;
    forgiven(removed, options, domain, out)?;
    let dns = records.map(|records| take_records(&records, options, out)).transpose()?;
    let kept = (!options.delete_backups || forgotten).then(|| kept::of(&machine, dirs, forgotten));
    if let Some(kept) = &kept {
        KeptBackups::at(dirs.kept()).put(kept)?;
    }
    Machines::at(dirs.machines()).remove(domain)?;
    for run in runs {
        Runner::new(dirs.runs()).abandon(&run.run)?;
    }
    let too = if kept.is_none() { ", and its backups" } else { "" };
    report(domain, kept.as_ref(), dns.as_ref(), &format!("{domain} is gone{too}"), out)
}

/// Undoes what runs made that died before there was a machine.
fn begun(options: &Options, domain: &Domain, runs: &[RunSummary], dirs: &Dirs, out: &Output) -> Result<()> {
    let of_run = |run| dns_of(run)?.map(|at| records(options, domain, &at, dirs, out)).transpose();
    let all: Vec<Option<Records>> = runs.iter().map(of_run).collect::<Result<_>>()?;
    let asked = all.iter().flatten().next();
    usable(options, domain, asked)?;
    agreed(options, domain, asked, out)?;
    let mut left = None;
    for (run, records) in runs.iter().zip(all) {
        let records = records.filter(|_| !options.keep_dns);
        let undone = block_on(|cancel| async move { take_back(run, records, dirs, out, &cancel).await });
        match undone {
            Ok(kept) => left = left.or(kept),
            Err(error) => forgiven(Err(error), options, domain, out)?,
        }
        if options.forget {
            Runner::new(dirs.runs()).abandon(&run.run)?;
        }
    }
    if let Some(kept) = left.take_if(|_| options.delete_backups) {
        block_on(|_| async { backups::remove(&kept::folder(&kept, out).await?).await })?;
    }
    if let Some(kept) = &left {
        KeptBackups::at(dirs.kept()).put(kept)?;
    }
    let gone = format!("What the unfinished run of {domain} made is gone");
    report(domain, left.as_ref(), None, &gone, out)
}

/// Removes the backups that a destroyed machine left, or forgets them.
fn left(options: &Options, kept: &Kept, dirs: &Dirs, out: &Output) -> Result<()> {
    let (domain, place) = (&kept.fqdn, kept.place());
    if options.forget {
        if !out.confirm(&format!("Forget that backups of {domain} are {place}?"))? {
            return Err(Error::new(&codes::INTERRUPTED, "nothing was forgotten"));
        }
        KeptBackups::at(dirs.kept()).remove(domain)?;
        return report(domain, None, None, &format!("{domain} is forgotten. Its backups stay {place}"), out);
    }
    if !options.delete_backups {
        return options.which.machine().map(drop);
    }
    let gone = block_on(|_| async {
        let folder = kept::folder(kept, out).await?;
        if let Some(found) = backups::look(&folder.store()?).await? {
            if kept.forgotten && kept::has_server(kept, out).await? {
                let text = format!(
                    "{domain} was forgotten, and its server is still on the machine with the backups"
                );
                return Err(Error::new(&provision::MACHINE_CARRIES_SERVER, text).with_hint(format!(
                    "`cloudron machine adopt {domain}` manages it again, then `cloudron machine destroy {domain} \
                     --delete-backups` removes both"
                )));
            }
            if !out.confirm(&format!("Remove ALL BACKUPS of {domain} {place} ({})?", found.holds()))? {
                return Err(Error::new(&codes::INTERRUPTED, "nothing was removed"));
            }
            backups::remove(&folder).await?;
        }
        Ok(format!("The backups of {domain} {place} are gone"))
    })?;
    KeptBackups::at(dirs.kept()).remove(domain)?;
    report(domain, None, None, &gone, out)
}

/// Says what is gone, what stays, and how to reach it.
fn report(
    domain: &Domain,
    kept: Option<&Kept>,
    dns: Option<&Outcome>,
    gone: &str,
    out: &Output,
) -> Result<()> {
    let json = json!([{
        "fqdn": domain, "destroyed": true, "backups": kept.map(|kept| &kept.store),
        "backupsPlace": kept.map(Kept::place), "dns": dns.map(Outcome::json),
    }]);
    out.data("machines", &json, || {
        let mut lines = vec![match kept {
            Some(kept) => format!("{gone}. Its backups stay {}", kept.place()),
            None => gone.to_owned(),
        }];
        lines.extend(dns.and_then(Outcome::gone));
        output::lines(lines)
    })?;
    if kept.is_some() {
        out.say(&format!(
            "  `cloudron machine backup list {domain}` lists them, `cloudron machine backup download {domain} \
             --repository DIR` copies them here,\n  `cloudron machine destroy {domain} --delete-backups` removes them."
        ));
    }
    Ok(())
}

fn records(
    options: &Options,
    domain: &Domain,
    at: &DnsRecords,
    dirs: &Dirs,
    out: &Output,
) -> Result<Records> {
    Records::open(domain, at, &options.credentials, dirs, out)
}

/// Refuses credentials that nothing needs.
fn usable(options: &Options, domain: &Domain, records: Option<&Records>) -> Result<()> {
    if options.credentials.are_given() && records.is_none() {
        let message = format!("an account at a DNS host means nothing: no records were written for {domain}");
        return Err(Error::new(&codes::USAGE, message));
    }
    Ok(())
}

fn agreed(options: &Options, domain: &Domain, records: Option<&Records>, out: &Output) -> Result<()> {
    match out.confirm(&question(domain, options, records))? {
        true => Ok(()),
        false => Err(Error::new(&codes::INTERRUPTED, "nothing was removed")),
    }
}

/// The bucket that is to be emptied, opened with the owner's credentials.
fn bucket(options: &Options, machine: &Machine) -> Result<Option<Folder>> {
    if !options.delete_backups || folder_of(&machine.store).is_some() {
        return Ok(None);
    }
    let folder = Folder::of(&machine.store)?;
    block_on(|_| async { backups::look(&folder.store()?).await })?;
    Ok(Some(folder))
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
fn forgiven(removed: Result<()>, options: &Options, domain: &Domain, out: &Output) -> Result<()> {
    match removed {
        Err(error) if options.forget => {
            out.warn(&format!("the machine was not cleaned up: {error}"));
            Ok(())
        }
        Err(error) => {
            let before = error.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
            if before.contains("--forget") {
                return Err(error);
            }
            Err(error.with_hint(format!(
                "{before}if the machine is lost for good, `cloudron machine destroy {domain} --forget` removes what this \
                 computer knows of it"
            )))
        }
        Ok(()) => Ok(()),
    }
}

/// Whether the program or anything that it would remove is on the machine.
const LEFT: &str =
    r#"if [ -x "$1" ]; then echo program; elif [ -e /var/lib/cloudron/config.json ]; then echo state; fi"#;

/// Removes the server, then its backups if that was asked for, and at last puts SSH back: until then, the machine is
/// reached as its record says. What an interrupted removal did already is no error.
async fn remove(
    options: &Options,
    machine: &Machine,
    bucket: Option<&Folder>,
    dirs: &Dirs,
    out: &Output,
) -> Result<()> {
    let target = match &machine.reach {
        Reach::Local { .. } => connect::target_of(&machine.reach, out, ASK).await?,
        Reach::Generic(reach) => {
            let ports = [reach.ssh_port, kept::port_before(machine, dirs).unwrap_or(22)];
            let remote = ssh::connect_any(reach, &ports, ssh::pinned(reach)?, ssh::LIMIT, out).await;
            let remote = remote.map_err(|e| ssh::advised(e, machine))?;
            Target::new(Arc::new(remote), Place::system())
        }
    };
    if is_left(machine, &target).await? {
        Machines::at(dirs.machines()).put(&Machine { destroying: true, ..machine.clone() })?;
        let _: Uninstalled = target.call(&BoxCommand::Uninstall(Uninstall::keeping_backups())).await?;
    }
    if options.delete_backups {
        match (bucket, folder_of(&machine.store)) {
            (Some(bucket), _) => backups::remove(bucket).await?,
            (None, Some(path)) => {
                let far = RemoteFolder::new(target.remote.clone(), path, machine.backups());
                backups::remove(&Folder::Far(Arc::new(far))).await?;
            }
            (None, None) => {}
        }
    }
    if matches!(&machine.reach, Reach::Generic(reach) if reach.ssh_port == SSH_PORT) {
        cloudron_provision::ssh::port::take_back(&*target.remote).await?;
    }
    Ok(())
}

/// Whether there is a server to remove.
async fn is_left(machine: &Machine, target: &Target) -> Result<bool> {
    let program = match &machine.reach {
        Reach::Local { root } => return Ok(root.join("bin").exists() || root.join("config.json").exists()),
        Reach::Generic(_) => Place::system().program().to_owned(),
    };
    let look = Command::sh(LEFT, [program]).as_root();
    match answer::run(&*target.remote, look).await?.text().as_str() {
        "" => Ok(false),
        "program" => Ok(true),
        _ => Err(Error::new(&codes::FAILED, "the server's state is on the machine, and its program is not")
            .with_hint("remove /var/lib/cloudron on the machine, and try again")),
    }
}
