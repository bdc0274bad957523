//! `cloudron machine status`

use std::time::SystemTime;

use cloudron_core::{Error, ErrorKind, Result, ResultExt};
use cloudron_machine::client::Overview;
use cloudron_machine::{Machine, Machines, Seen, StateDir, StatusAdvice, StatusReport};
use cloudron_provision::codes as provision;

use super::Which;
use crate::machines;
use crate::output::{self, Output};
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
            show(&machine, None, machines.seen(&machine.fqdn).as_ref(), out)?;
            return Err(advise(error, &machine));
        }
    };
    let seen = said.seen();
    if let Err(error) = machines.put_seen(&machine.fqdn, &seen) {
        out.warn(&format!("the answer could not be remembered: {error}"));
    }
    show(&machine, Some(&said), Some(&seen), out)?;
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

/// Prints what is known of a machine.
fn show(machine: &Machine, said: Option<&Overview>, seen: Option<&Seen>, out: &Output) -> Result<()> {
    let report = StatusReport { machine, said, seen };
    let set_up = format!("`cloudron machine setup-link {}` gives a link", machine.fqdn);
    let advice = StatusAdvice { set_up: &set_up, seen_by: "by `cloudron machine status` on this computer" };
    out.data("machines", &[report.to_json()], || output::lines(report.lines(advice, SystemTime::now())))
}
