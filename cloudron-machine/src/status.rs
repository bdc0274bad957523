//! What is known of a machine, for people and as JSON: its record, what its server says now, and what it said last.

use std::time::SystemTime;

use cloudron_core::human::ago;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::Overview;
use crate::registry::{Machine, Reach};
use crate::seen::Seen;

/// The status of a machine.
#[derive(Debug, Clone, Copy)]
pub struct StatusReport<'a> {
    /// Its record.
    pub machine: &'a Machine,
    /// What its server says, if it answers.
    pub said: Option<&'a Overview>,
    /// What it said last.
    pub seen: Option<&'a Seen>,
}

/// Words of the program that shows a status.
#[derive(Debug, Clone, Copy)]
pub struct StatusAdvice<'a> {
    /// How a server is set up that is not yet.
    pub set_up: &'a str,
    /// By what a machine that was never seen would have been seen.
    pub seen_by: &'a str,
}

impl StatusReport<'_> {
    /// Returns the status as JSON.
    pub fn to_json(&self) -> Value {
        let Self { machine, said, seen } = self;
        json!({
            "fqdn": machine.fqdn, "provider": machine.reach.provider(), "place": machine.reach.place(),
            "url": machine.url(), "created": timestamp(machine.created), "store": machine.store,
            "reachable": said.is_some(), "lastSeen": seen, "status": said.map(|s| &s.status),
            "config": said.map(|s| &s.config), "progress": said.map(|s| &s.progress),
            "latestBackup": said.and_then(|s| s.latest.as_ref()),
        })
    }

    /// Returns the lines of the status.
    pub fn lines(&self, advice: StatusAdvice<'_>, now: SystemTime) -> Vec<String> {
        match self.said {
            Some(said) => answering(self.machine, said, advice.set_up, now),
            None => silent(self.machine, self.seen, advice.seen_by),
        }
    }
}

/// What is known of a machine that does not answer.
fn silent(machine: &Machine, seen: Option<&Seen>, seen_by: &str) -> Vec<String> {
    let (fqdn, provider, place) = (&machine.fqdn, machine.reach.provider(), machine.reach.place());
    let mut lines = vec![format!("{fqdn}  unreachable, {provider} at {place}")];
    lines.push(format!("  address   {}", machine.url()));
    if let Reach::Generic(ssh) = &machine.reach {
        lines.push(format!("  ssh       {}@{} port {}", ssh.ssh_user, ssh.host, ssh.ssh_port));
    }
    lines.push(format!("  created   {}", minute(timestamp(machine.created))));
    lines.push(format!("  backups   {}", machine.store));
    lines.push(match seen {
        None => format!("  last seen never, {seen_by}"),
        Some(Seen { time, version, healthy, last_backup }) => {
            let state = if *healthy { "healthy" } else { "not healthy" };
            let backup = last_backup.map_or("no backup".into(), |t| format!("latest backup {}", minute(t)));
            format!("  last seen {}: version {version}, {state}, {backup}", minute(*time))
        }
    });
    lines
}

/// What a server says of itself.
fn answering(machine: &Machine, said: &Overview, set_up: &str, now: SystemTime) -> Vec<String> {
    let Overview { status, config, progress, latest } = said;
    let state = if config.health.ok { "healthy" } else { "NOT HEALTHY" };
    let (fqdn, place) = (&machine.fqdn, machine.reach.place());
    let mut lines = vec![
        format!("{fqdn}  {state}, version {}, {} at {place}", status.version, status.provider),
        format!("  address   {}", machine.url()),
        format!(
            "  setup     {}",
            if status.activated { "done".into() } else { format!("not done: {set_up}") }
        ),
    ];
    let last = config.backup.last.map(|t| ago(t.try_into().unwrap_or(SystemTime::UNIX_EPOCH), now));
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
        let failed = if check.ok { "" } else { "FAILED: " };
        lines.push(format!("  {:<9} {failed}{}", check.name, check.message));
    }
    lines
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
