//! SSH to a machine by its address and the fingerprints in its marks.

use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Clock, Error, Result};
use serde_json::Value;

use super::marks::is_user;
use super::{HostKeys, MACHINE, Patience};
use crate::codes;
use crate::generic::ports;
use crate::ssh::{self, Auth, CONNECT_LIMIT, HostKey, HostKeyPolicy, SshRemote, SshTarget};
use crate::steps::Outputs;

/// How to log in to the machines of a cloud.
#[derive(Clone)]
pub struct Login {
    auth: Auth,
    user: Option<String>,
    port: u16,
    moved_to: Vec<u16>,
    boot: Patience,
    pub(super) clock: Arc<dyn Clock>,
}

impl Login {
    /// Logs in as the user that the machine's marks name, or else root, on port 22, and waits five minutes for a machine that boots.
    pub fn new(auth: Auth, clock: Arc<dyn Clock>) -> Self {
        let boot = Patience::of(Duration::from_secs(300));
        Self { auth, user: None, port: 22, moved_to: Vec::new(), boot, clock }
    }

    /// Uses another port.
    pub fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Uses this user, whatever the machine's marks say.
    pub fn as_user(self, user: impl Into<String>) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// Adds a port that a run moves SSH to.
    pub fn may_move_to(mut self, port: u16) -> Self {
        self.moved_to.push(port);
        self
    }

    /// Sets how long to wait for a machine that boots.
    pub fn waiting(self, boot: Patience) -> Self {
        Self { boot, ..self }
    }

    /// Connects to the machine that the outputs describe, and trusts only the host keys that they name. Waits while the
    /// machine does not answer.
    ///
    /// # Errors
    /// `host-key-mismatch` if it shows another key: nothing was sent to it. As [`ssh::connect`].
    pub async fn connect(&self, outputs: &Outputs) -> Result<Arc<SshRemote>> {
        let (address, keys, user) = (address(outputs)?, host_keys(outputs), self.user(outputs));
        let ports = ports(outputs, self.port, &self.moved_to);
        let mut waits = self.boot.begin(&*self.clock);
        loop {
            let mut failure = None;
            for port in &ports {
                match self.once((&user, &address, *port), &keys).await {
                    Ok(remote) => return Ok(remote),
                    Err(e) if does_not_answer(&e) => failure = Some(e),
                    Err(e) => return Err(e),
                }
            }
            let waited = waits.again("the machine had not answered by SSH").await;
            waited.map_err(|error| failure.unwrap_or(error))?;
        }
    }

    /// Connects once, on that port.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_on(&self, port: u16, outputs: &Outputs) -> Result<Arc<SshRemote>> {
        self.once((&self.user(outputs), &address(outputs)?, port), &host_keys(outputs)).await
    }

    /// Connects once and trusts these keys. Each needs a connection of its own, because the key decides whether anything
    /// is sent.
    pub(super) async fn once(
        &self,
        (user, address, port): (&str, &str, u16),
        keys: &HostKeys,
    ) -> Result<Arc<SshRemote>> {
        let mut refused = None;
        for fingerprint in keys.all() {
            let target = SshTarget::new(address).on_port(port).as_user(user);
            let policy = HostKeyPolicy::Fingerprint(fingerprint.into());
            match ssh::connect(target, &self.auth, policy, CONNECT_LIMIT).await {
                Ok(remote) => return Ok(Arc::new(remote)),
                Err(e) if e.is(&codes::HOST_KEY_MISMATCH) => refused = Some(e),
                Err(e) => return Err(e),
            }
        }
        Err(refused.unwrap_or_else(|| {
            let message = format!("no host key of {address} is known, so nothing was sent to it");
            Error::new(&codes::HOST_KEY_UNKNOWN, message)
        }))
    }
}

impl Login {
    /// Returns the user to log in as on the machine that the outputs describe.
    fn user(&self, outputs: &Outputs) -> String {
        let named = outputs.get(MACHINE).and_then(|machine| machine.get("user")).and_then(Value::as_str);
        let named = named.filter(|name| is_user(name)).unwrap_or("root");
        self.user.clone().unwrap_or_else(|| named.to_owned())
    }
}

/// Returns whether an error means that the machine, or its SSH server, has not started yet.
pub(super) fn does_not_answer(error: &Error) -> bool {
    [&codes::SSH_REFUSED, &codes::SSH_UNREACHABLE, &codes::SSH_TIMEOUT, &codes::SSH_LOST]
        .iter()
        .any(|code| error.is(code))
}

/// Returns the address of the machine that the step `machine` made.
fn address(outputs: &Outputs) -> Result<String> {
    let machine = outputs.get(MACHINE);
    let address = ["ipv4", "ipv6"].iter().find_map(|kind| machine?.get(kind)?.as_str());
    address
        .map(str::to_owned)
        .ok_or_else(|| Error::new(&codes::SSH_UNREACHABLE, "the machine has no address yet"))
}

/// Returns the host keys to trust: the one that the machine made itself, as soon as that is done.
pub(super) fn host_keys(outputs: &Outputs) -> HostKeys {
    let lasting = outputs.get("host-key").and_then(|o| o.get("host_key")).and_then(Value::as_str);
    if let Some(key) = lasting.and_then(|text| text.parse::<HostKey>().ok()) {
        return HostKeys { one_time: None, lasting: Some(key.fingerprint()) };
    }
    let of = |name: &str| outputs.get(MACHINE)?.get(name)?.as_str().map(str::to_owned);
    HostKeys { one_time: of("one_time_key"), lasting: of("host_key") }
}
