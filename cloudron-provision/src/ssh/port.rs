//! Changes the port of an SSH server without locking the user out.
//!
//! 1. Ask systemd which unit listens: a service (`ssh.service`, `sshd.service`), or `ssh.socket`, with which `Port` in
//!    sshd_config is ignored (Ubuntu 22.10 to 24.04).
//! 2. Start a timer on the server that reverts everything in a few minutes, even if this computer disconnects.
//! 3. Let both ports listen, after `sshd -t` succeeded.
//! 4. Prove a separate login on the new port, with the recorded host key.
//! 5. Only then close the old port, prove the new one once more, and stop the timer.
//!
//! All changes are in two files of our own, so that they are reverted by removing the files. After a failure, the
//! settings and the listening unit are as before.

use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Error, Result, ResultExt, RetryPolicy, SystemClock};

use crate::remote::Remote;
use crate::steps::Context;
use crate::{Command, Output, answer, codes};

/// The common part of all scripts: determines which unit listens, unless `$unit` names it already, and makes it read
/// its settings. Existing sessions are kept by both ways: a reload, and a restart of the socket. systemd refuses to
/// start a socket while its service runs (Debian 12, where the service does not require the socket), so the service is
/// stopped in between; the next connection starts it.
const UNIT: &str = r#"set -eu
config=/etc/ssh/sshd_config.d/10-cloudron-port.conf
socket=/etc/systemd/system/ssh.socket.d/zz-cloudron-port.conf
sshd=$(command -v sshd || echo /usr/sbin/sshd)
if [ -n "${unit:-}" ]; then :
elif systemctl is-active -q ssh.socket; then unit=ssh.socket
elif systemctl is-active -q ssh.service; then unit=ssh.service
elif systemctl is-active -q sshd.service; then unit=sshd.service
else echo "no unit of systemd listens for SSH" >&2; exit 70; fi
apply() {
  mkdir -p /run/sshd
  "$sshd" -t
  if [ "$unit" = ssh.socket ]; then
    systemctl daemon-reload
    systemctl stop ssh.socket
    systemctl stop ssh.service
    systemctl start ssh.socket
  else systemctl reload "$unit"; fi
}
"#;

/// Units that may listen for SSH.
const UNITS: [&str; 3] = ["ssh.socket", "ssh.service", "sshd.service"];

/// Prints the unit and the ports that it listens on.
const LOOK: &str = r#"
echo "$unit"
if [ "$unit" = ssh.socket ]; then
  systemctl show -p Listen ssh.socket | sed -n 's/^.*[:=]\([0-9][0-9]*\) (Stream)$/\1/p' | sort -un
else
  mkdir -p /run/sshd
  "$sshd" -T | sed -n 's/^listenaddress .*:\([0-9][0-9]*\)$/\1/p' | sort -un
fi"#;

/// `$1`…: the only ports to listen on. Files that are correct already are not changed.
const LISTEN: &str = r#"
if [ "$unit" = ssh.socket ]; then
  file=$socket
  # The empty value forgets the ports of the unit itself.
  text='[Socket]
BindIPv6Only=both
ListenStream='
  for port in "$@"; do text="$text
ListenStream=$port"; done
else
  file=$config
  text='# Written by cloudron: the ports of the SSH server.'
  for port in "$@"; do text="$text
Port $port"; done
  if ! grep -Eiq '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config\.d/\*\.conf' /etc/ssh/sshd_config; then
    sed -i '1i Include /etc/ssh/sshd_config.d/*.conf # cloudron' /etc/ssh/sshd_config
  fi
  # Ports named there would stay open beside ours.
  sed -i -E 's/^[[:space:]]*(Port[[:space:]].*|ListenAddress[[:space:]]+([^[:space:]:]+|\[[^]]*\]):[0-9]+([[:space:]].*)?)$/#cloudron# \1/I' /etc/ssh/sshd_config
fi
mkdir -p "$(dirname "$file")"
if [ "$(cat "$file" 2>/dev/null || true)" != "$text" ]; then
  printf '%s\n' "$text" >"$file.new"
  chmod 644 "$file.new"
  mv -f "$file.new" "$file"
fi
apply"#;

/// Restores the settings, and the unit that listened before.
const REVERT: &str = r#"
rm -f "$config" "$socket"
rmdir "$(dirname "$socket")" 2>/dev/null || true
sed -i -e '/^Include .* # cloudron$/d' -e 's/^#cloudron# //' /etc/ssh/sshd_config
apply"#;

/// `$1`: seconds, `$2`: the script. The timer outlives this session and this computer. Without a description, systemd
/// would use the script itself as one, which is not a valid line of a unit.
const ARM: &str = r#"set -eu
systemctl stop cloudron-ssh-revert.timer 2>/dev/null || true
systemctl reset-failed cloudron-ssh-revert.service 2>/dev/null || true
systemd-run -q --collect --unit=cloudron-ssh-revert --description="Restore the SSH port" \
  --on-active="$1" --timer-property=AccuracySec=1s /bin/sh -c "$2""#;

const DISARM: &str = "systemctl stop cloudron-ssh-revert.timer 2>/dev/null || true";

/// The parameters of a port change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Move {
    /// The new port.
    pub to: u16,
    /// True if the old ports stay open, for example because something else depends on the port of the first contact.
    pub keep_old: bool,
    /// Time after which the server reverts everything by itself, unless the change was completed.
    pub revert_after: Duration,
}

impl Move {
    /// Moves to that port, closes the old ones, and reverts after five minutes if not completed.
    pub fn to(port: u16) -> Self {
        Self { to: port, keep_old: false, revert_after: Duration::from_secs(300) }
    }

    /// Sets whether the old ports stay open.
    pub fn keep_old(mut self, keep: bool) -> Self {
        self.keep_old = keep;
        self
    }

    /// Sets the time after which the server reverts the change.
    pub fn revert_after(mut self, time: Duration) -> Self {
        self.revert_after = time;
        self
    }

    /// Returns the ports that listen during the test of the new one, and those at the end.
    fn stages(&self, before: &[u16]) -> (Vec<u16>, Vec<u16>) {
        let during: Vec<u16> =
            std::iter::once(self.to).chain(before.iter().copied().filter(|p| *p != self.to)).collect();
        let after = if self.keep_old { during.clone() } else { vec![self.to] };
        (during, after)
    }
}

/// The result of a port change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// The unit that listens.
    pub unit: String,
    /// The ports that it listens on.
    pub ports: Vec<u16>,
}

/// Returns which unit listens on which ports of the server itself. The ports may differ from those seen from outside,
/// behind a router with port forwarding.
///
/// # Errors
/// `remote-command` if no systemd unit listens for SSH; as [`Remote::exec`].
pub async fn look(remote: &dyn Remote) -> Result<Moved> {
    let text = run(remote, None, LOOK, &[]).await?.text();
    let mut lines = text.lines();
    let unit = lines.next().unwrap_or_default().to_string();
    if !UNITS.contains(&&*unit) {
        let message = format!("the machine names {unit:?} as the unit that listens for SSH");
        return Err(Error::new(&codes::REMOTE_ANSWER, message));
    }
    Ok(Moved { unit, ports: lines.filter_map(|l| l.trim().parse().ok()).collect() })
}

/// Builds a script for the known unit, or for the one that listens when the script runs.
fn script(unit: Option<&str>, body: &str) -> String {
    let unit = unit.unwrap_or_default();
    format!("unit={unit}\n{UNIT}{body}")
}

async fn run(remote: &dyn Remote, unit: Option<&str>, body: &str, arguments: &[u16]) -> Result<Output> {
    let arguments = arguments.iter().map(u16::to_string);
    answer::run(remote, Command::sh(script(unit, body), arguments).as_root()).await
}

/// Moves the SSH server of the machine that `remote` is connected to, and makes the context use the new port. It is
/// idempotent.
///
/// # Errors
/// `ssh-port` if the new port does not work; then everything is as before, or will be when the timer on the server
/// expires. As [`Remote::exec`].
pub async fn shift(remote: &dyn Remote, wanted: &Move, context: &Context) -> Result<Moved> {
    let before = look(remote).await.map_err(|error| unknown_unit(wanted.to, error))?;
    let (during, after) = wanted.stages(&before.ports);
    let unit = Some(&*before.unit);
    let arm = [wanted.revert_after.as_secs().to_string(), script(unit, REVERT)];
    let arm = answer::run(remote, Command::sh(ARM, arm).as_root()).await;
    arm.doing(|| "starting the timer that restores the port".into())?;
    let error = match prove(remote, wanted.to, &before.unit, &during, &after, context).await {
        Ok(fresh) => {
            context.set_remote(fresh).await;
            return Ok(Moved { unit: before.unit, ports: after });
        }
        Err(error) if error.is(&cloudron_core::codes::INTERRUPTED) => return Err(error),
        Err(error) => error,
    };
    // The existing session still works, whatever listens now.
    let state = match restore(remote, unit).await {
        Ok(()) => "the settings were restored".to_string(),
        Err(_) => format!("the server restores the settings within {} s", wanted.revert_after.as_secs()),
    };
    let message = format!("SSH could not be moved to port {}: {error}; {state}", wanted.to);
    let failed = Error::new(&codes::SSH_PORT, message);
    let blocked = [&codes::SSH_TIMEOUT, &codes::SSH_REFUSED, &codes::SSH_UNREACHABLE];
    Err(match blocked.iter().any(|code| error.is(code)) {
        true => failed.with_detail("blocked", wanted.to.to_string()),
        false => failed,
    }
    .with_source(error))
}

/// Returns the error for a server on which no known systemd unit listens for SSH. Nothing was changed there.
fn unknown_unit(port: u16, error: Error) -> Error {
    if !error.is(&codes::REMOTE_COMMAND) {
        return error.while_doing("looking where SSH listens");
    }
    let message = format!("SSH could not be moved to port {port}: {error}");
    Error::new(&codes::SSH_PORT, message).with_source(error)
}

/// Opens the new port, logs in there, and only over that login closes the old ones and stops the timer.
async fn prove(
    remote: &dyn Remote,
    to: u16,
    unit: &str,
    during: &[u16],
    after: &[u16],
    context: &Context,
) -> Result<Arc<dyn Remote>> {
    run(remote, Some(unit), LISTEN, during).await?;
    let mut fresh = login(to, context).await?;
    context.cancel.check()?;
    if during != after {
        run(&*fresh, Some(unit), LISTEN, after).await?;
        fresh = login(to, context).await?;
    }
    answer::run(&*fresh, Command::sh(DISARM, [""; 0]).as_root()).await?;
    let now = look(&*fresh).await?.ports;
    for port in now.iter().filter(|p| !after.contains(p)) {
        context.progress.warn(format!(
            "SSH still listens on port {port}: another file in /etc/ssh/sshd_config.d says so."
        ));
    }
    Ok(fresh)
}

/// Opens a separate connection on a port. It retries for a few seconds, because a reload takes a moment.
async fn login(port: u16, context: &Context) -> Result<Arc<dyn Remote>> {
    let policy = RetryPolicy::attempts(10)
        .waits(Duration::from_millis(100), Duration::from_secs(1))
        .within(Duration::from_secs(20));
    let outputs = context.outputs();
    let attempt = || async {
        let fresh = context.provider().connect_on(port, &outputs).await?;
        answer::run(&*fresh, Command::new(["true"]).as_root()).await?;
        Ok(fresh)
    };
    policy.run(&SystemClock, attempt).await.doing(|| format!("logging in on port {port}"))
}

/// Restores the settings that existed before any port change, and stops the timer.
///
/// # Errors
/// As [`Remote::exec`]; `remote-command` if the server cannot be made to listen as before.
pub async fn take_back(remote: &dyn Remote) -> Result<()> {
    restore(remote, None).await
}

/// Restores the settings for the unit that listened before, which may be stopped now.
async fn restore(remote: &dyn Remote, unit: Option<&str>) -> Result<()> {
    run(remote, unit, REVERT, &[]).await?;
    answer::run(remote, Command::sh(DISARM, [""; 0]).as_root()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_listen_until_the_new_one_is_proven() {
        assert_eq!(Move::to(202).stages(&[22]), (vec![202, 22], vec![202]));
    }

    #[test]
    fn the_ports_before_stay_when_asked_for() {
        assert_eq!(
            Move::to(202).keep_old(true).stages(&[22, 2222]),
            (vec![202, 22, 2222], vec![202, 22, 2222])
        );
    }

    #[test]
    fn a_machine_that_moved_already_stays() {
        assert_eq!(Move::to(202).stages(&[202]), (vec![202], vec![202]));
    }

    #[test]
    fn only_lines_that_name_a_port_are_taken_out_of_sshd_config() {
        let expression =
            LISTEN.lines().find(|l| l.contains("#cloudron#")).unwrap().split('\'').nth(1).unwrap();
        let before = "Port 22\n  port 23 # x\n#Port 24\nListenAddress 0.0.0.0:22\nListenAddress [::]:22\n\
                      ListenAddress 0.0.0.0\nListenAddress ::1\nListenAddress fe80:1::2\nPermitRootLogin yes\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sshd_config");
        std::fs::write(&file, before).unwrap();
        let sed = |arguments: &[&str]| {
            let output =
                std::process::Command::new("sed").arg("-i").args(arguments).arg(&file).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            std::fs::read_to_string(&file).unwrap()
        };
        let after = sed(&["-E", expression]);
        let taken: Vec<&str> = after.lines().filter_map(|l| l.strip_prefix("#cloudron# ")).collect();
        assert_eq!(taken, ["Port 22", "port 23 # x", "ListenAddress 0.0.0.0:22", "ListenAddress [::]:22"]);
        assert_eq!(sed(&["-e", "s/^#cloudron# //"]), before.replace("  port", "port"));
    }

    #[test]
    fn the_scripts_are_valid_shell() {
        let scripts = [LOOK, LISTEN, REVERT].map(|body| script(Some("ssh.socket"), body));
        for script in scripts.iter().chain([&ARM.to_string()]) {
            let output = std::process::Command::new("sh").args(["-n", "-c", script]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
