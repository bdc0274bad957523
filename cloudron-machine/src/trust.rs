//! Trust in a host key that differs from the recorded one.

use cloudron_core::{Domain, Error, Result, codes as core_codes};
use cloudron_provision::codes as provision;
use cloudron_provision::ssh::{self, HostKey, HostKeyPolicy};
use cloudron_provision::steps::{Journal, Phase, Record};
use serde_json::{Value, json};

use crate::access::{LIMIT, known_hosts, target};
use crate::codes;
use crate::manager::Manager;
use crate::outputs::{Contact, SshMoved, StepOutput};
use crate::registry::{Machine, Reach, SshReach};

/// The host key that a machine presents, and the recorded ones.
pub struct ShownKey {
    /// How to reach the machine.
    pub reach: SshReach,
    /// The recorded keys.
    pub recorded: Vec<HostKey>,
    /// The key to trust.
    pub key: HostKey,
    of: Of,
}

/// The record that the key belongs to.
enum Of {
    Machine(Box<Machine>),
    /// An interrupted creation whose first contact recorded a host key.
    Run {
        run: String,
        contact: Value,
    },
}

impl ShownKey {
    /// Returns true if it differs from the recorded keys.
    pub fn is_new(&self) -> bool {
        !self.recorded.contains(&self.key)
    }
}

impl Manager {
    /// Requests the host keys of a machine, or of one whose creation was interrupted. Selects the key with
    /// the given fingerprint; otherwise the recorded key if it is still presented, or a key of the same type.
    /// Changes nothing.
    ///
    /// # Errors
    /// `usage` for a local machine, `host-key-mismatch` if no key has the fingerprint, errors of
    /// [`machine`](Self::machine), and SSH errors.
    pub async fn shown_key(&self, domain: &Domain, fingerprint: Option<&str>) -> Result<ShownKey> {
        self.runner().check_idle(domain.as_str())?;
        let (reach, of) = match self.contacted(domain)? {
            Some(found) => found,
            None => {
                let machine = self.machine(domain)?;
                let Reach::Generic(reach) = machine.reach.clone() else {
                    let text = format!("{domain} runs on this computer, which has no host key to trust");
                    return Err(Error::new(&core_codes::USAGE, text));
                };
                (reach, Of::Machine(Box::new(machine)))
            }
        };
        let recorded: Vec<HostKey> = reach.host_keys.iter().map(|key| key.parse()).collect::<Result<_>>()?;
        let shown = ssh::host_keys(target(&reach), LIMIT).await?;
        let key = choose(&shown, &recorded, fingerprint, domain)?;
        Ok(ShownKey { reach, recorded, key, of })
    }

    /// Asks a machine whether it still runs the server that its record is about.
    ///
    /// # Errors
    /// `server-refused` when it runs another one; those of reaching it.
    pub async fn check_server(&self, machine: &Machine) -> Result<()> {
        let status = self.client(machine).await?.status().await?;
        if status.fqdn == machine.fqdn.as_str() {
            return Ok(());
        }
        Err(Error::new(&codes::SERVER_REFUSED, format!("the server that answers is for {}", status.fqdn)))
    }

    /// Records the key. Returns the machine if it is finished.
    ///
    /// # Errors
    /// Errors of writing files.
    pub fn trust(&self, shown: ShownKey) -> Result<Option<Machine>> {
        let ShownKey { reach, key, of, .. } = shown;
        match of {
            Of::Machine(mut machine) => {
                machine.reach = Reach::Generic(SshReach { host_keys: vec![key.to_string()], ..reach });
                known_hosts(&self.machines(), &machine)?;
                self.machines().put(&machine)?;
                Ok(Some(*machine))
            }
            Of::Run { run, mut contact } => {
                contact["host_key"] = json!(key.to_string());
                let mut journal = Journal::open(&self.state().runs(), &run)?;
                journal.write(&Record::Adopted { step: Contact::STEP.into(), output: contact })?;
                Ok(None)
            }
        }
    }

    /// Returns an interrupted creation whose first contact recorded a host key.
    fn contacted(&self, domain: &Domain) -> Result<Option<(SshReach, Of)>> {
        let runs = self.runner().unfinished(Some(domain.as_str()))?;
        let Some(run) = runs.iter().find(|run| run.phase == Phase::Forward) else { return Ok(None) };
        let Ok(Reach::Generic(mut reach)) = serde_json::from_value(run.spec.inputs.clone()) else {
            return Ok(None);
        };
        let state = Journal::read(&self.state().runs(), &run.run)?;
        let outputs = state.outputs();
        let (Some(contact), Some(key)) =
            (outputs.get(Contact::STEP), Contact::of(&outputs).and_then(|contact| contact.host_key))
        else {
            return Ok(None);
        };
        reach.host_keys = vec![key];
        reach.ssh_port = SshMoved::of(&outputs).map_or(reach.ssh_port, |moved| moved.port);
        Ok(Some((reach, Of::Run { run: run.run.clone(), contact: contact.clone() })))
    }
}

/// Selects the key to trust: the one with the given fingerprint; otherwise the recorded key if it is still
/// presented, or a key of the same type.
fn choose(
    shown: &[HostKey],
    recorded: &[HostKey],
    fingerprint: Option<&str>,
    domain: &Domain,
) -> Result<HostKey> {
    if let Some(given) = fingerprint {
        let HostKeyPolicy::Fingerprint(wanted) = HostKeyPolicy::fingerprint(given)? else {
            return Err(Error::new(&core_codes::USAGE, format!("{given:?} is not a fingerprint")));
        };
        return shown.iter().find(|key| key.fingerprint() == wanted).cloned().ok_or_else(|| {
            let keys: Vec<String> = shown.iter().map(HostKey::fingerprint).collect();
            let message = format!("{domain} shows the host key {}, not {wanted}", keys.join(", "));
            Error::new(&provision::HOST_KEY_MISMATCH, message).with_hint(
                "compare with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the server's console",
            )
        });
    }
    let of_a_kind = |key: &&HostKey| recorded.iter().any(|old| old.algorithm() == key.algorithm());
    let same = shown.iter().find(|key| recorded.contains(key));
    same.or_else(|| shown.iter().find(of_a_kind))
        .or_else(|| shown.first())
        .cloned()
        .ok_or_else(|| Error::new(&provision::SSH_PROTOCOL, format!("{domain} shows no host key")))
}
