//! `host-key`: the machine gets a host key of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::connect::{does_not_answer, host_keys};
use super::{HostKeys, Login, Patience};
use crate::ssh::{HostKey, SshRemote};
use crate::steps::{Check, Context, Step, Undo};
use crate::{Command, Remote, answer, codes};

/// Makes a new key beside the one in use, and prints its public half. When the key in use is already another one than
/// the server shows, which happens if only the reload is missing, it prints that one.
const PREPARE: &str = r#"set -eu
k=ssh_host_ed25519_key new=$1/cloudron-new
current=$(ssh-keygen -y -f "$1/$k" | cut -d ' ' -f 2)
if [ "$current" != "$2" ]; then printf 'ssh-ed25519 %s\n' "$current"; exit 0; fi
if [ ! -f "$new/$k.pub" ]; then
    rm -rf "$new" "$1"/cloudron-new.*
    made=$(mktemp -d "$1/cloudron-new.XXXXXX")
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$made/$k"
    mv "$made" "$new"
fi
sync
cat "$new/$k.pub""#;

/// Puts the new key into use. A server without the public half computes it, one with a wrong one refuses the key: so it
/// is removed first.
const ACTIVATE: &str = r#"set -eu
k=ssh_host_ed25519_key new=$1/cloudron-new
if [ -f "$new/$k" ]; then
    rm -f "$1/$k.pub"
    mv -f "$new/$k" "$1/$k"
    mv -f "$new/$k.pub" "$1/$k.pub"
fi
if [ ! -f "$1/$k.pub" ]; then ssh-keygen -y -f "$1/$k" >"$1/$k.pub"; fi
rm -rf "$new" "$1"/cloudron-new.*
sync
systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service 2>/dev/null || true"#;

/// The folder of the SSH server's keys.
const FOLDER: &str = "/etc/ssh";

/// Writes the host keys into the marks of a machine.
#[async_trait]
pub trait WriteKeys: Send + Sync {
    /// Replaces the host keys in the marks of the machine that the context's outputs describe.
    ///
    /// # Errors
    /// Any error of the cloud.
    async fn write_keys(&self, context: &Context, keys: &HostKeys) -> Result<()>;
}

/// Replaces the one-time host key with one that the machine makes itself.
///
/// At every moment, the marks have the fingerprint of the key that the machine shows: both before the new one is put into
/// use, and only the new one after a new connection proved it.
///
/// Output: `{"host_key": "ssh-ed25519 AAAA…"}`.
pub struct RotateHostKey {
    login: Login,
    marks: Arc<dyn WriteKeys>,
}

impl RotateHostKey {
    /// Creates the step.
    pub fn new(login: Login, marks: Arc<dyn WriteKeys>) -> Self {
        Self { login, marks }
    }

    /// Connects anew, trusting only that key.
    async fn prove(&self, context: &Context, shown: &Value, key: &HostKey) -> Result<Arc<SshRemote>> {
        let address = shown["host"].as_str().unwrap_or_default();
        let user = shown["user"].as_str().unwrap_or("root");
        let port = shown["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(22);
        let keys = HostKeys { one_time: None, lasting: Some(key.fingerprint()) };
        let mut waits = Patience::of(Duration::from_secs(30)).begin(&*context.clock);
        loop {
            match self.login.once((user, address, port), &keys).await {
                Ok(remote) => return Ok(remote),
                // The server may still be reloading.
                Err(e) if e.is(&codes::HOST_KEY_MISMATCH) || does_not_answer(&e) => {
                    waits.again("the SSH server did not show its new host key").await?;
                }
                Err(e) => return Err(e),
            }
        }
    }
}

#[async_trait]
impl Step for RotateHostKey {
    fn id(&self) -> &'static str {
        "host-key"
    }

    fn plan(&self) -> String {
        "Replace the one-time host key".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        let keys = host_keys(&context.outputs());
        if keys.one_time.is_some() || keys.lasting.is_none() {
            return Ok(Check::Absent);
        }
        let (_, key) = shown(&*context.remote().await?)?;
        Ok(Check::Done(json!({ "host_key": key })))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let remote = context.remote().await?;
        let (identity, current) = shown(&*remote)?;
        let known = host_keys(&context.outputs());
        let key = if known.lasting.as_deref() == Some(&*current.fingerprint()) {
            // It is in use already; what was left beside it is removed.
            answer::run(&*remote, Command::sh(ACTIVATE, [FOLDER]).as_root()).await?;
            current
        } else {
            let blob = current.to_string().split_whitespace().nth(1).unwrap_or_default().to_owned();
            let prepare = Command::sh(PREPARE, [FOLDER, &blob]).as_root();
            let made: HostKey = answer::run(&*remote, prepare).await?.text().parse()?;
            let both = HostKeys { one_time: Some(current.fingerprint()), lasting: Some(made.fingerprint()) };
            if known != both {
                self.marks.write_keys(context, &both).await?;
            }
            answer::run(&*remote, Command::sh(ACTIVATE, [FOLDER]).as_root()).await?;
            context.set_remote(self.prove(context, &identity, &made).await?).await;
            made
        };
        let only = HostKeys { one_time: None, lasting: Some(key.fingerprint()) };
        self.marks.write_keys(context, &only).await?;
        Ok(json!({ "host_key": key }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        // It is removed with the machine.
        Ok(Undo::Undone)
    }
}

/// Returns what the connection says of the machine, and the host key that it showed.
fn shown(remote: &dyn Remote) -> Result<(Value, HostKey)> {
    let identity = remote.identity().unwrap_or_default();
    let key = identity["host_key"].as_str().unwrap_or_default().parse();
    let unknown = |e: Error| {
        let message = format!("{} showed no host key", remote.describe());
        Error::new(&codes::HOST_KEY_UNKNOWN, message).with_source(e)
    };
    Ok((identity, key.map_err(unknown)?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command as Process;

    use cloudron_testkit::require;

    use super::super::OneTimeKey;
    use super::*;

    /// Runs a script up to its nth change, and returns what it printed, if it came to its end.
    fn run(script: &str, nth: usize, arguments: &[&str]) -> Option<String> {
        let (mut seen, mut cut) = (0, String::new());
        for line in script.lines() {
            let changes =
                ["rm ", "mv ", "ssh-keygen -q", "sync"].iter().any(|word| line.trim().starts_with(word));
            seen += usize::from(changes);
            cut += if changes && seen > nth { "exit 9" } else { line };
            cut.push('\n');
        }
        let mut command = Process::new("sh");
        // The reload is not for the machine that runs the tests.
        let script = cut.replace("systemctl", "false");
        let output = command.args(["-c", &script, "sh"]).args(arguments).output().unwrap();
        match output.status.code() {
            Some(0) => Some(String::from_utf8(output.stdout).unwrap()),
            Some(9) => None,
            _ => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    fn in_use(keygen: &Path, folder: &Path) -> String {
        let output = Process::new(keygen)
            .args(["-y", "-f"])
            .arg(folder.join("ssh_host_ed25519_key"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().split_whitespace().nth(1).unwrap().to_owned()
    }

    #[test]
    fn a_machine_that_loses_power_at_any_change_is_finished_with_a_recorded_key() {
        let Some(keygen) = require::tool("ssh-keygen") else { return };
        for nth in 0..12 {
            for restarted in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().to_str().unwrap();
                let first = OneTimeKey::generate();
                let file = folder.path().join("ssh_host_ed25519_key");
                std::fs::write(&file, first.private().expose()).unwrap();
                std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
                std::fs::write(file.with_extension("pub"), first.public().to_string()).unwrap();
                let shown = first.public().to_string().split_whitespace().nth(1).unwrap().to_owned();
                let recorded = run(PREPARE, nth, &[path, &shown]).and_then(|made| {
                    run(ACTIVATE, nth, &[path]);
                    Some(made.split_whitespace().nth(1)?.to_owned())
                });
                let now = in_use(&keygen, folder.path());
                assert!(now == shown || Some(&now) == recorded.as_ref(), "{nth}: a key that no mark names");
                // The server shows what it read when it started.
                let shown = if restarted { now } else { shown };
                let mut key = shown.clone();
                if Some(&shown) != recorded.as_ref() {
                    key =
                        run(PREPARE, 99, &[path, &shown]).unwrap().split_whitespace().nth(1).unwrap().into();
                }
                run(ACTIVATE, 99, &[path]).unwrap();
                assert_eq!(in_use(&keygen, folder.path()), key, "{nth}");
                let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
                assert_eq!(public.split_whitespace().nth(1), Some(&*key), "{nth}");
                assert_eq!(
                    std::fs::read_dir(folder.path()).unwrap().count(),
                    2,
                    "{nth}: only the key is left"
                );
            }
        }
    }
}
