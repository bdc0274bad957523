//! `cloudron machine ssh`

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use cloudron_core::{Error, Result, codes};
use cloudron_provision::ssh::SshTarget;

use super::Which;
use crate::output::Output;
use crate::state::{Dirs, Machine, Machines, Reach, SshReach};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine ssh example.com
  cloudron machine ssh example.com systemctl status cloudron-box

The system's ssh is used, with the machine's pinned host key. Its exit code is passed on.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// A command to run instead of a shell
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) fn run(options: &Options, _out: &Output) -> Result<u8> {
    let machine = options.which.machine()?;
    let mut ssh = command(&machine)?;
    ssh.args(remote_command(&options.command));
    let status = ssh.status().map_err(|e| {
        Error::io("ssh", e).while_doing("starting the system's ssh").with_hint("install an OpenSSH client")
    })?;
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

/// The command for the shell there. Several words are quoted, so that each arrives as it was given; a single one
/// is a command line.
fn remote_command(words: &[String]) -> Option<String> {
    match words {
        [] => None,
        [line] => Some(line.clone()),
        words => Some(cloudron_provision::quote::command(words)),
    }
}

/// The system's ssh, told to trust exactly the pinned keys of this machine, whatever its address.
fn command(machine: &Machine) -> Result<Command> {
    let Reach::Generic(SshReach { host, ssh_port, ssh_user, ssh_key, host_keys }) = &machine.reach else {
        return Err(Error::new(
            &codes::USAGE,
            format!("{} runs on this computer: there is nothing to connect to", machine.fqdn),
        )
        .with_hint(format!("its files are in {}", machine.reach.place())));
    };
    let alias = format!("cloudron-{}", machine.run.to_ascii_lowercase());
    let trusted = host_keys.iter().map(|key| format!("{alias} {key}\n"));
    // What the user's own files revoke, this file revokes too: ssh reads no other.
    let revoked = SshTarget::new(host).revoked_keys().into_iter().map(|key| format!("@revoked * {key}\n"));
    let lines: String = trusted.chain(revoked).collect();
    let known = Machines::at(Dirs::from_env()?.machines()).put_known_hosts(&machine.fqdn, &lines)?;
    let mut ssh = Command::new("ssh");
    ssh.env_remove("CLOUDRON_BACKUP_KEY");
    ssh.args(["-p", &ssh_port.to_string(), "-l", ssh_user]);
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no", "-o", "ConnectTimeout=15"]);
    ssh.args(["-o", &format!("HostKeyAlias={alias}")]);
    ssh.args([
        "-o",
        &format!("UserKnownHostsFile={}", known.display()),
        "-o",
        "GlobalKnownHostsFile=/dev/null",
    ]);
    if let Some(key) = ssh_key {
        ssh.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
    }
    ssh.arg(host);
    Ok(ssh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_as_given_and_a_line_is_a_line() {
        let words = |w: &[&str]| remote_command(&w.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&[]), None);
        assert_eq!(words(&["ls | wc -l"]).unwrap(), "ls | wc -l");
        assert_eq!(words(&["cat", "my file"]).unwrap(), "cat 'my file'");
    }
}
