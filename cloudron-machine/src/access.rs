//! How this program logs in to machines: keys, passphrases, and whom to trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Error, Result, Secret};
use cloudron_provision::ssh::{self, Auth, HostKey, HostKeyPolicy, HostKeyQuestion, SshRemote, SshTarget};
use cloudron_provision::{Remote, codes};

use crate::output::Output;
use crate::state::{Machine, Machines, Reach, SshReach};

/// The time limit of reaching a machine.
pub(crate) const LIMIT: Duration = ssh::CONNECT_LIMIT;

/// Connects to a machine that is known, trusting exactly its pinned host keys.
pub(crate) async fn connect(reach: &SshReach, out: &Output, ask: bool) -> Result<Arc<dyn Remote>> {
    let auth = auth(reach.ssh_key.as_deref(), out, ask);
    Ok(Arc::new(ssh::connect(target(reach), &auth, pinned(reach)?, LIMIT).await?))
}

/// Trusts exactly the host keys of the record.
pub(crate) fn pinned(reach: &SshReach) -> Result<HostKeyPolicy> {
    let keys: Vec<HostKey> = reach.host_keys.iter().map(|k| k.parse()).collect::<Result<_>>()?;
    Ok(HostKeyPolicy::Pinned(keys))
}

/// Connects on the first of the ports where something listens.
pub(crate) async fn connect_any(
    reach: &SshReach,
    ports: &[u16],
    policy: HostKeyPolicy,
    limit: Duration,
    out: &Output,
) -> Result<SshRemote> {
    let auth = auth(reach.ssh_key.as_deref(), out, true);
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

/// Writes the file that tells the system's ssh which keys of a machine to trust, under the machine's alias. Gives both.
pub(crate) fn known_hosts(machines: &Machines, machine: &Machine) -> Result<(PathBuf, String)> {
    let alias = format!("cloudron-{}", machine.run.to_ascii_lowercase());
    let mut lines = String::new();
    if let Reach::Generic(reach) = &machine.reach {
        let trusted = reach.host_keys.iter().map(|key| format!("{alias} {key}\n"));
        // What the user's own files revoke, this file revokes too: ssh reads no other.
        let revoked = SshTarget::new(&reach.host).revoked_keys();
        lines = trusted.chain(revoked.into_iter().map(|key| format!("@revoked * {key}\n"))).collect();
    }
    Ok((machines.put_known_hosts(&machine.fqdn, &lines)?, alias))
}

/// The same error, with what to do about a machine that is known. The options of `create` do not help there.
pub(crate) fn advised(error: Error, machine: &Machine) -> Error {
    let domain = &machine.fqdn;
    if error.is(&codes::HOST_KEY_CHANGED) {
        return error.with_hint(format!(
            "find out why it changed; when the new key is right, `cloudron machine trust {domain}` records it"
        ));
    }
    if error.is(&codes::SSH_REFUSED) {
        return error
            .with_hint(format!("`cloudron machine status {domain}` shows what is known of the machine"));
    }
    match &machine.reach {
        Reach::Generic(SshReach { ssh_key: Some(key), .. }) if error.is(&codes::SSH_KEY_MISSING) => {
            error.with_hint(format!(
                "put the key back at {}, or name another one: `cloudron machine destroy {domain} --forget`, then \
                 `cloudron machine adopt {domain}` with `--ssh-key`",
                key.display()
            ))
        }
        _ => error,
    }
}

/// The server and the user to log in as.
pub(crate) fn target(reach: &SshReach) -> SshTarget {
    SshTarget::new(&reach.host).on_port(reach.ssh_port).as_user(&reach.ssh_user)
}

/// The key to log in with; its passphrase is asked for when somebody can answer.
pub(crate) fn auth(key: Option<&Path>, out: &Output, ask: bool) -> Auth {
    let auth = key.map_or_else(Auth::default, |k| Auth::key(k.to_string_lossy()));
    if !ask || !Output::can_ask() {
        return auth;
    }
    let out = out.clone();
    auth.ask_passphrase(Arc::new(move |path: &Path| -> Option<Secret> {
        out.ask_secret(&format!("The passphrase of {}", path.display()), "ssh-add").ok()
    }))
}

/// Whom to trust at the first contact: the fingerprint that was given, or known_hosts, or what the user says.
pub(crate) fn first_contact(fingerprint: Option<&str>, out: &Output) -> Result<HostKeyPolicy> {
    if let Some(fingerprint) = fingerprint {
        return HostKeyPolicy::fingerprint(fingerprint);
    }
    if !Output::can_ask() {
        return Ok(HostKeyPolicy::KnownHostsThenAsk(None));
    }
    let out = out.clone();
    Ok(HostKeyPolicy::KnownHostsThenAsk(Some(Arc::new(move |question: &HostKeyQuestion| {
        out.say(&format!(
            "{} port {} shows the {} host key\n  {}\nCompare it with what `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` \
             prints on the server's console.",
            question.host,
            question.port,
            question.key.algorithm(),
            question.key.fingerprint()
        ));
        // Never answered by --yes: whom to trust is not a formality.
        out.confirm_in_person("Is it the right one?").unwrap_or(false)
    }))))
}

/// The file of a key, as the record remembers it; `None` when the agent is to be asked.
pub(crate) fn key_file(name: Option<&str>) -> Result<Option<PathBuf>> {
    let Some(name) = name else { return Ok(None) };
    let path = ssh::keys::find(name, std::env::home_dir().as_deref())?;
    std::path::absolute(&path).map(Some).map_err(|e| Error::io(&path, e))
}
