//! `cloudron machine ssh`

use std::os::unix::process::ExitStatusExt;

use cloudron_core::{Error, Result};
use cloudron_machine::access::{changed_host_key, ssh_command};
use cloudron_machine::{Machines, StateDir};

use super::Which;
use crate::hints;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// A command to run instead of a shell
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) fn run(options: &Options, _out: &Output) -> Result<u8> {
    let machine = options.which.machine()?;
    let mut ssh =
        ssh_command(&Machines::at(StateDir::of_this_user()?.machines()), &machine, &options.command)?;
    let status = ssh.status().map_err(|e| {
        Error::io("ssh", e).while_doing("starting the system's ssh").with_hint("install an OpenSSH client")
    })?;
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
    // ssh itself has said why it could not connect; here only this reason is told again, with what to do.
    if code == REFUSED
        && let Some(changed) = block_on(|_| async { Ok(changed_host_key(&machine).await) })?
    {
        return Err(hints::of_machine(changed, &machine));
    }
    Ok(u8::try_from(code).unwrap_or(1))
}

/// Exit code of ssh for a failed connection. The remote command may also return it.
const REFUSED: i32 = 255;
