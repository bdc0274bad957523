//! `cloudron machine ssh`

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use cloudron_core::{Error, Result, codes};
use cloudron_machine::access::{LIMIT, known_hosts, target};
use cloudron_machine::{Machine, Machines, Reach, SshReach};
use cloudron_provision::codes::HOST_KEY_CHANGED;
use cloudron_provision::ssh::{HostKey, host_keys};

use super::Which;
use crate::hints;
use crate::output::Output;
use crate::runtime::block_on;
use crate::state::state_dir;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine ssh example.com
  cloudron machine ssh example.com systemctl status cloudron-box
  cloudron machine ssh example.com 'ls /srv | wc -l'

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
    if code == REFUSED {
        check_host_key(&machine)?;
    }
    Ok(u8::try_from(code).unwrap_or(1))
}

/// What ssh ends with when it could not connect; the command on the machine may do so as well.
const REFUSED: i32 = 255;

/// Says so when the machine shows another host key than the recorded one.
fn check_host_key(machine: &Machine) -> Result<()> {
    let Reach::Generic(reach) = &machine.reach else { return Ok(()) };
    // ssh itself has said why it could not connect; here only this reason is told again, with what to do.
    let Ok(shown) = block_on(|_| host_keys(target(reach), LIMIT)) else { return Ok(()) };
    if shown.iter().any(|key| reach.host_keys.contains(&key.to_string())) {
        return Ok(());
    }
    let shown: Vec<String> = shown.iter().map(HostKey::fingerprint).collect();
    let message = format!("{} shows the host key {}, not the recorded one", reach.host, shown.join(", "));
    Err(hints::of_machine(Error::new(&HOST_KEY_CHANGED, message), machine))
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
    let Reach::Generic(SshReach { host, ssh_port, ssh_user, ssh_key, .. }) = &machine.reach else {
        return Err(Error::new(
            &codes::USAGE,
            format!("{} runs on this computer: there is nothing to connect to", machine.fqdn),
        )
        .with_hint(format!("its files are in {}", machine.reach.place())));
    };
    let (known, alias) = known_hosts(&Machines::at(state_dir()?.machines()), machine)?;
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
