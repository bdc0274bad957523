//! `cloudron machine status`

use std::time::SystemTime;

use cloudron_core::{Error, ErrorKind, Result, ResultExt};
use cloudron_machine::client::Overview;
use cloudron_machine::{Machine, Machines, Reach, Seen, StateDir};
use cloudron_provision::codes as provision;
use jiff::Timestamp;
use serde_json::json;

use super::Which;
use crate::machines;
use crate::output::{self, Output, ago};
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let machines = Machines::at(StateDir::of_this_user()?.machines());
    let said = match interruptible(async { machines::client(&machine, out).await?.overview().await }) {
        Ok(said) => said,
        Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
        Err(error) => {
            let seen = machines.seen(&machine.fqdn);
            if out.is_json() {
                out.json("machines", &json!([describe(&machine, None, seen.as_ref())]))?;
            } else {
                out.text(&render_silent(&machine, seen.as_ref()))?;
            }
            return Err(advise(error, &machine));
        }
    };
    let seen = said.seen();
    if let Err(error) = machines.put_seen(&machine.fqdn, &seen) {
        out.warn(&format!("the answer could not be remembered: {error}"));
    }
    if out.is_json() {
        out.json("machines", &json!([describe(&machine, Some(&said), Some(&seen))]))?;
    } else {
        out.text(&render(&machine, &said))?;
    }
    super::create::only_copy(&machine, out);
    said.healthy(&machine.fqdn).hint(|| {
        format!(
            "the lines above say what is wrong; `cloudron machine logs {}` shows what led to it",
            machine.fqdn
        )
    })
}

/// Adds a hint for a machine that does not answer, unless the error comes from the server itself.
fn advise(error: Error, machine: &Machine) -> Error {
    let lost = [&provision::SSH_TIMEOUT, &provision::SSH_REFUSED, &provision::SSH_UNREACHABLE];
    let fqdn = &machine.fqdn;
    if lost.iter().any(|code| error.is(code)) {
        return error.with_hint(format!(
            "check in the cloud's console that the machine runs and its firewall allows SSH; when the machine is lost, \
             `cloudron machine destroy {fqdn} --forget` removes its record, and creating it again with --backup latest \
             restores it elsewhere"
        ));
    }
    error
}

fn describe(machine: &Machine, said: Option<&Overview>, seen: Option<&Seen>) -> serde_json::Value {
    json!({
        "fqdn": machine.fqdn, "provider": machine.reach.provider(), "place": machine.reach.place(),
        "url": machine.url(), "created": timestamp(machine.created), "store": machine.store,
        "reachable": said.is_some(), "lastSeen": seen, "status": said.map(|s| &s.status),
        "config": said.map(|s| &s.config), "progress": said.map(|s| &s.progress),
        "latestBackup": said.and_then(|s| s.latest.as_ref()),
    })
}

/// Renders what is known of a machine that does not answer.
fn render_silent(machine: &Machine, seen: Option<&Seen>) -> String {
    let mut lines = vec![format!(
        "{}  unreachable, {} at {}",
        machine.fqdn,
        machine.reach.provider(),
        machine.reach.place()
    )];
    lines.push(format!("  address   {}", machine.url()));
    if let Reach::Generic(ssh) = &machine.reach {
        lines.push(format!("  ssh       {}@{} port {}", ssh.ssh_user, ssh.host, ssh.ssh_port));
    }
    lines.push(format!("  created   {}", minute(timestamp(machine.created))));
    lines.push(format!("  backups   {}", machine.store));
    lines.push(match seen {
        None => "  last seen never, by `cloudron machine status` on this computer".into(),
        Some(seen) => {
            let state = if seen.healthy { "healthy" } else { "not healthy" };
            let backup =
                seen.last_backup.map_or("no backup".into(), |t| format!("latest backup {}", minute(t)));
            format!("  last seen {}: version {}, {state}, {backup}", minute(seen.time), seen.version)
        }
    });
    output::lines(lines)
}

fn render(machine: &Machine, said: &Overview) -> String {
    let Overview { status, config, progress, latest } = said;
    let state = if config.health.ok { "healthy" } else { "NOT HEALTHY" };
    let mut lines = vec![
        format!(
            "{}  {state}, version {}, {} at {}",
            machine.fqdn,
            status.version,
            status.provider,
            machine.reach.place()
        ),
        format!("  address   {}", machine.url()),
        format!(
            "  setup     {}",
            match status.activated {
                true => "done".into(),
                false => format!("not done: `cloudron machine setup-link {}` gives a link", machine.fqdn),
            }
        ),
    ];
    let last =
        config.backup.last.map(|t| ago(t.try_into().unwrap_or(SystemTime::UNIX_EPOCH), SystemTime::now()));
    lines.push(format!(
        "  backup    {}{}, daily at {:02}:00 UTC, to {}",
        last.unwrap_or_else(|| "none yet".into()),
        if latest.as_ref().is_some_and(|latest| latest.incomplete) { ", INCOMPLETE" } else { "" },
        config.backup.hour,
        config.backup.store
    ));
    if config.retired {
        lines.push("  retired   another machine took over".into());
    }
    for job in [&progress.backup, &progress.update, &progress.restore].into_iter().flatten() {
        lines.push(format!("  running   {} % {}", job.percent, job.message));
    }
    // The line above contains the time of the latest backup.
    for check in config.health.checks.iter().filter(|check| !check.ok || check.name != "backup") {
        lines.push(format!(
            "  {:<9} {}{}",
            check.name,
            if check.ok { "" } else { "FAILED: " },
            check.message
        ));
    }
    output::lines(lines)
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
