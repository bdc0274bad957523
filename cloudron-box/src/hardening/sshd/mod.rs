//! The settings of the machine's SSH server: keys only, present algorithms, bounded logins.
//!
//! They are checked by the server itself before it sees them, and refused while the user who is logged in has no key:
//! nobody is locked out. Ports are not among them.

mod keys;
mod settings;

use std::path::Path;

use crate::finding::Finding;
use crate::host::{Host, brief, is_active, run, try_run};
use crate::{Error, Result, codes};

pub use keys::accepted;
pub use settings::{Supported, text};

/// The file with the settings. Its name comes before those of cloud-init and distributions: the first value counts.
pub const FILE: &str = "/etc/ssh/sshd_config.d/05-cloudron-hardening.conf";

/// A candidate that the SSH server checks: what it would read, with our settings first.
const CANDIDATE: &str = "/etc/ssh/.cloudron-candidate.conf";

/// The settings that must be in force in the end.
const MUST: [(&str, &[&str]); 4] = [
    ("passwordauthentication", &["no"]),
    ("kbdinteractiveauthentication", &["no"]),
    ("permitrootlogin", &["without-password", "prohibit-password", "no", "forced-commands-only"]),
    ("pubkeyauthentication", &["yes"]),
];

/// Hardens the SSH server. `login` is the user who is logged in and must stay able to. Returns what somebody should know.
///
/// # Errors
/// `ssh-lockout` if that user has no key that the server accepts; `ssh-settings` if the server refuses the settings, which
/// are then as before; `file-missing` if there is no SSH server.
pub fn harden(host: &dyn Host, login: &str) -> Result<Vec<Finding>> {
    // Without the folder that its service makes, the server does not even check its settings.
    run(host, "install", &["-d", "-m", "0755", "/run/sshd"], "")?;
    if accepted(host, login)?.is_empty() {
        let text = format!("user {} has no key that the SSH server accepts", brief(login));
        return Err(Error::new(&codes::SSH_LOCKOUT, text).with_detail("user", login));
    }
    let text = text(&Supported::by(host)?);
    try_out(host, &text)?;
    let before = host.read(Path::new(FILE))?;
    if before.as_deref() != Some(&*text) {
        host.write(Path::new(FILE), 0o644, &text)?;
    }
    if let Err(error) = check(host, &["-t"]).and_then(|_| reload(host)) {
        put_back(host, before.as_deref())?;
        return Err(error);
    }
    findings(host)
}

/// Removes the settings, so that the SSH server follows those it had before.
///
/// # Errors
/// `ssh-settings`; file errors.
pub fn relax(host: &dyn Host) -> Result<()> {
    host.remove(Path::new(FILE))?;
    check(host, &["-t"])?;
    reload(host)
}

/// Has the SSH server check the settings beside those that it has, without using them.
fn try_out(host: &dyn Host, text: &str) -> Result<()> {
    let path = Path::new(CANDIDATE);
    host.write(path, 0o600, &format!("{text}\nInclude /etc/ssh/sshd_config\n"))?;
    let checked = check(host, &["-T", "-f", CANDIDATE]);
    host.remove(path)?;
    missing(&checked?).map_or(Ok(()), |(name, value)| {
        let text = format!("the SSH server would have {name} {value}");
        Err(Error::new(&codes::SSH_SETTINGS, text))
    })
}

/// Runs the SSH server to check settings.
fn check(host: &dyn Host, arguments: &[&str]) -> Result<String> {
    let output = try_run(host, "/usr/sbin/sshd", arguments)?;
    if output.is_success() {
        return Ok(output.stdout);
    }
    let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    Err(Error::new(&codes::SSH_SETTINGS, format!("the SSH server says: {}", brief(said))))
}

/// Has the SSH server read its settings again. One that is started for each connection, or for the first one, reads them
/// then.
fn reload(host: &dyn Host) -> Result<()> {
    for unit in ["ssh.service", "sshd.service"] {
        if is_active(host, unit)? {
            return run(host, "systemctl", &["reload", unit], "").map(drop);
        }
    }
    Ok(())
}

fn put_back(host: &dyn Host, before: Option<&str>) -> Result<()> {
    match before {
        Some(text) => host.write(Path::new(FILE), 0o644, text)?,
        None => host.remove(Path::new(FILE))?,
    }
    reload(host)
}

/// Returns the first setting that must be in force and is not.
fn missing(effective: &str) -> Option<(&'static str, &str)> {
    MUST.iter().find_map(|(name, values)| {
        let value = effective.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or("unset");
        (!values.contains(&value)).then_some((*name, value))
    })
}

/// Returns what is not as it should be although the settings are in place.
///
/// # Errors
/// `ssh-settings` if the server cannot read its settings.
pub fn findings(host: &dyn Host) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    if let Some((name, value)) = missing(&check(host, &["-T"])?) {
        found.push(Finding::new(
            "ssh-not-hardened",
            format!("The SSH server has `{name} {value}`"),
            "Passwords can be guessed; keys cannot.",
            format!("Have `/etc/ssh/sshd_config` include `/etc/ssh/sshd_config.d/*.conf` in its first line, and remove {name} from other files."),
        ));
    }
    let main = host.read(Path::new("/etc/ssh/sshd_config"))?.unwrap_or_default();
    if main.lines().any(|line| line.trim_start().to_ascii_lowercase().starts_with("match ")) {
        found.push(Finding::new(
            "ssh-match",
            "The SSH server has other settings for some users or addresses (`Match`)",
            "They go before the settings for everybody, and may allow passwords.",
            "Look at the `Match` blocks of `/etc/ssh/sshd_config`.",
        ));
    }
    Ok(found)
}
