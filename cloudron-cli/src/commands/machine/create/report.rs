//! The report of a finished run.

use cloudron_core::Result;
use cloudron_machine::{Created, DnsDone, Machine};

use crate::output::{self, Output};

/// Prints the machine's address and the next steps.
pub(super) fn done(created: &Created, out: &Output) -> Result<()> {
    let machine = &created.machine;
    if let Some(dns) = created.dns.as_ref().filter(|dns| dns.agrees != Some(true)) {
        re_check(machine, dns, out);
    }
    if !created.reachable {
        out.warn(&format!(
            "{} port {} does not answer this computer: allow TCP port {1} in the machine's firewall and in the cloud's \
             security group",
            machine.reach.place(),
            machine.port
        ));
    }
    only_copy(machine, out);
    match out.is_json() {
        true => out.json("machines", &[created.to_json()]),
        false => out.text(&output::lines(created.lines())),
    }
}

/// Warns if the only copy of the backups is on the machine itself.
pub(in crate::commands::machine) fn only_copy(machine: &Machine, out: &Output) {
    if machine.has_only_copy() {
        out.warn(&format!(
            "the only copy of the backups is on the machine itself; `cloudron machine backup download {} --repository \
             DIR` makes another on this computer",
            machine.fqdn
        ));
    }
}

/// Warns that DNS records are missing, and says how to check again.
fn re_check(machine: &Machine, dns: &DnsDone, out: &Output) {
    let what = if dns.written.is_some() { "are not on every name server yet" } else { "are not verified" };
    out.warn(&format!(
        "the DNS records {what}: re-check with `cloudron dns check {} --ip {}`",
        machine.fqdn,
        machine.reach.place()
    ));
}
