//! SSH login to machines: keys, passphrases and host key policies.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Error, Result, Secret, codes as core_codes};
use cloudron_provision::ssh::{self, Auth, HostKey, HostKeyPolicy, HostKeyQuestion, SshRemote, SshTarget};
use cloudron_provision::{Remote, codes};

use crate::manager::Manager;
use crate::registry::{Machine, Machines, Reach, SshReach};

/// The port that SSH listens on after a machine is created.
pub const SSH_PORT: u16 = 202;

/// Time limit for connecting to a machine.
pub const LIMIT: Duration = ssh::CONNECT_LIMIT;

/// Returns a policy that accepts only the host keys in the record.
///
/// # Errors
/// Errors of the `host-key` codes if a recorded key cannot be parsed.
pub fn pinned(reach: &SshReach) -> Result<HostKeyPolicy> {
    let keys: Vec<HostKey> = reach.host_keys.iter().map(|k| k.parse()).collect::<Result<_>>()?;
    Ok(HostKeyPolicy::Pinned(keys))
}

/// Writes a `known_hosts` file for the system's ssh with the machine's pinned keys under an alias. Returns
/// the path of the file and the alias.
///
/// # Errors
/// Errors of writing the file.
pub fn known_hosts(machines: &Machines, machine: &Machine) -> Result<(PathBuf, String)> {
    let alias = format!("cloudron-{}", machine.run.to_ascii_lowercase());
    let mut lines = String::new();
    if let Reach::Generic(reach) = &machine.reach {
        let trusted = reach.host_keys.iter().map(|key| format!("{alias} {key}\n"));
        // Revoked keys of the user's own files are copied too: with this file, ssh reads no other.
        let revoked = SshTarget::new(&reach.host).revoked_keys();
        lines = trusted.chain(revoked.into_iter().map(|key| format!("@revoked * {key}\n"))).collect();
    }
    Ok((machines.put_known_hosts(&machine.fqdn, &lines)?, alias))
}

/// Returns the command that runs the system's ssh with only the pinned host keys of this machine, whatever
/// its address. It runs `words` on the machine, or a shell if there are none.
///
/// # Errors
/// `usage` for a local machine.
pub fn ssh_command(machines: &Machines, machine: &Machine, words: &[String]) -> Result<Command> {
    let Reach::Generic(SshReach { host, ssh_port, ssh_user, ssh_key, .. }) = &machine.reach else {
        return Err(Error::new(
            &core_codes::USAGE,
            format!("{} runs on this computer: there is nothing to connect to", machine.fqdn),
        )
        .with_hint(format!("its files are in {}", machine.reach.place())));
    };
    let (known, alias) = known_hosts(machines, machine)?;
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
    ssh.args(remote_command(words));
    Ok(ssh)
}

/// Says so when a machine shows another host key than the recorded one; nothing when it cannot be asked.
pub async fn changed_host_key(machine: &Machine) -> Option<Error> {
    let Reach::Generic(reach) = &machine.reach else { return None };
    let shown = ssh::host_keys(target(reach), LIMIT).await.ok()?;
    if shown.iter().any(|key| reach.host_keys.contains(&key.to_string())) {
        return None;
    }
    let shown: Vec<String> = shown.iter().map(HostKey::fingerprint).collect();
    let message = format!("{} shows the host key {}, not the recorded one", reach.host, shown.join(", "));
    Some(Error::new(&codes::HOST_KEY_CHANGED, message))
}

/// Returns the command line for the remote shell, or `None` for an interactive shell. Several words are
/// quoted one by one; a single word is taken as a command line.
fn remote_command(words: &[String]) -> Option<String> {
    match words {
        [] => None,
        [line] => Some(line.clone()),
        words => Some(cloudron_provision::quote::command(words)),
    }
}

/// Returns the server and the user to log in as.
pub fn target(reach: &SshReach) -> SshTarget {
    SshTarget::new(&reach.host).on_port(reach.ssh_port).as_user(&reach.ssh_user)
}

impl Manager {
    /// Connects to a known machine and accepts only its pinned host keys.
    pub(crate) async fn connect(&self, reach: &SshReach) -> Result<Arc<dyn Remote>> {
        let auth = self.auth(reach.ssh_key.as_deref());
        Ok(Arc::new(ssh::connect(target(reach), &auth, pinned(reach)?, LIMIT).await?))
    }

    /// Connects to the first of the ports that accepts connections.
    pub(crate) async fn connect_any(
        &self,
        reach: &SshReach,
        ports: &[u16],
        policy: HostKeyPolicy,
        limit: Duration,
    ) -> Result<SshRemote> {
        let auth = self.auth(reach.ssh_key.as_deref());
        let mut refused = None;
        for (n, port) in ports.iter().enumerate().filter(|(n, port)| !ports[..*n].contains(port)) {
            match ssh::connect(target(reach).on_port(*port), &auth, policy.clone(), limit).await {
                Err(e) if e.is(&codes::SSH_REFUSED) && n + 1 < ports.len() => {
                    refused.get_or_insert(e);
                }
                Err(e) if e.is(&codes::SSH_REFUSED) => return Err(refused.unwrap_or(e)),
                other => return other,
            }
        }
        Err(refused.unwrap_or_else(|| Error::new(&codes::SSH_UNREACHABLE, "there is no port to connect to")))
    }

    /// Returns the authentication for a key. Its passphrase is asked for if a user can be prompted.
    pub(crate) fn auth(&self, key: Option<&Path>) -> Auth {
        let auth = key.map_or_else(Auth::default, |k| Auth::key(k.to_string_lossy()));
        if !self.ask().is_there() {
            return auth;
        }
        let ask = self.ask().clone();
        auth.ask_passphrase(Arc::new(move |path: &Path| -> Option<Secret> { ask.passphrase(path) }))
    }

    /// Returns the host key policy for the first contact: the fingerprint if one was given, otherwise
    /// known_hosts and a question to the user.
    pub(crate) fn first_contact(&self, fingerprint: Option<&str>) -> Result<HostKeyPolicy> {
        if let Some(fingerprint) = fingerprint {
            return HostKeyPolicy::fingerprint(fingerprint);
        }
        if !self.ask().is_there() {
            return Ok(HostKeyPolicy::KnownHostsThenAsk(None));
        }
        let ask = self.ask().clone();
        let accept = move |question: &HostKeyQuestion| ask.accept_host_key(question);
        Ok(HostKeyPolicy::KnownHostsThenAsk(Some(Arc::new(accept))))
    }
}

/// Returns the absolute path of a key file as it is stored in the record, or `None` if the SSH agent is used.
///
/// # Errors
/// `ssh-key-missing`.
pub fn key_file(name: Option<&str>) -> Result<Option<PathBuf>> {
    let Some(name) = name else { return Ok(None) };
    let path = ssh::keys::find(name, std::env::home_dir().as_deref())?;
    std::path::absolute(&path).map(Some).map_err(|e| Error::io(&path, e))
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
