//! The provider `generic`: any machine that is reached by SSH.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::Value;

use crate::codes;
use crate::facts::Requirements;
use crate::provider::CloudProvider;
use crate::remote::Remote;
use crate::ssh::{self, Auth, CONNECT_LIMIT, HostKey, HostKeyPolicy, SshRemote, SshTarget};
use crate::steps::ready::FirstContact;
use crate::steps::{Outputs, Step};

/// Uses an existing machine.
pub struct Generic {
    target: SshTarget,
    auth: Auth,
    policy: HostKeyPolicy,
    limit: Duration,
    requirements: Requirements,
    moved_to: Vec<u16>,
    first: tokio::sync::Mutex<Option<Arc<SshRemote>>>,
}

impl Generic {
    /// Creates a provider for the machine at that address, with that login. The policy decides whether its host key is
    /// trusted, until the key is recorded.
    pub fn new(target: SshTarget, auth: Auth, policy: HostKeyPolicy) -> Self {
        Self {
            target,
            auth,
            policy,
            limit: CONNECT_LIMIT,
            requirements: Requirements::default(),
            moved_to: Vec::new(),
            first: tokio::sync::Mutex::new(None),
        }
    }

    /// Sets the requirements for the machine.
    pub fn requirements(mut self, requirements: Requirements) -> Self {
        self.requirements = requirements;
        self
    }

    /// Sets the time limit for connecting.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Adds a port that a run moves SSH to; connecting tries this port as well.
    pub fn may_move_to(mut self, port: u16) -> Self {
        self.moved_to.push(port);
        self
    }

    /// Connects once according to the caller's policy, and keeps the connection.
    async fn first(&self) -> Result<Arc<SshRemote>> {
        let mut first = self.first.lock().await;
        if let Some(remote) = &*first {
            return Ok(remote.clone());
        }
        let remote =
            Arc::new(ssh::connect(self.target.clone(), &self.auth, self.policy.clone(), self.limit).await?);
        *first = Some(remote.clone());
        Ok(remote)
    }

    async fn pinned(&self, key: HostKey, port: u16) -> Result<Arc<SshRemote>> {
        let first = self.first.lock().await;
        if let Some(remote) = first.as_ref().filter(|r| *r.host_key() == key) {
            return if remote.target().port == port {
                Ok(remote.clone())
            } else {
                remote.connect_on(port).await.map(Arc::new)
            };
        }
        let policy = HostKeyPolicy::Pinned(vec![key]);
        ssh::connect(self.target.clone().on_port(port), &self.auth, policy, self.limit).await.map(Arc::new)
    }
}

#[async_trait]
impl CloudProvider for Generic {
    fn name(&self) -> &'static str {
        "generic"
    }

    /// Connects and logs in, so that a wrong address, key or host key is reported before a run begins.
    async fn preflight(&self, _: &str) -> Result<()> {
        self.first().await.map(|_| ())
    }

    fn steps(&self, _: &str) -> Vec<Arc<dyn Step>> {
        vec![Arc::new(FirstContact::new(self.target.host.clone(), self.requirements.clone()))]
    }

    async fn connect(&self, outputs: &Outputs) -> Result<Arc<dyn Remote>> {
        let Some(key) = recorded_key(outputs)? else {
            return Ok(self.first().await?);
        };
        let mut failure = None;
        for port in ports(outputs, self.target.port, &self.moved_to) {
            match self.pinned(key.clone(), port).await {
                Ok(remote) => return Ok(remote),
                // Nothing listens there: SSH may have moved before the run died.
                Err(e) if e.is(&codes::SSH_REFUSED) || e.is(&codes::SSH_TIMEOUT) => {
                    failure.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        Err(failure.unwrap_or_else(|| Error::new(&codes::SSH_UNREACHABLE, "there is no port to connect to")))
    }

    async fn connect_on(&self, port: u16, outputs: &Outputs) -> Result<Arc<dyn Remote>> {
        let key = recorded_key(outputs)?;
        let key = match key {
            Some(key) => key,
            None => self.first().await?.host_key().clone(),
        };
        // A separate login, never the existing connection.
        let policy = HostKeyPolicy::Pinned(vec![key]);
        Ok(Arc::new(ssh::connect(self.target.clone().on_port(port), &self.auth, policy, self.limit).await?))
    }
}

/// Returns the host key that the first contact recorded.
fn recorded_key(outputs: &Outputs) -> Result<Option<HostKey>> {
    let recorded = outputs.get("first-contact").and_then(|o| o.get("host_key")).and_then(Value::as_str);
    recorded.map(str::parse).transpose()
}

/// Returns the ports to try, the most likely one first.
pub(crate) fn ports(outputs: &Outputs, first: u16, moved_to: &[u16]) -> Vec<u16> {
    let moved = outputs.get("ssh-port").and_then(|o| o.get("port")).and_then(Value::as_u64);
    let mut ports: Vec<u16> = moved.and_then(|p| u16::try_from(p).ok()).into_iter().collect();
    ports.push(first);
    ports.extend(moved_to);
    let mut seen = std::collections::HashSet::new();
    ports.retain(|p| seen.insert(*p));
    ports
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_that_ssh_moved_to_is_tried_first_and_the_old_one_still() {
        let none = Outputs::new();
        assert_eq!(ports(&none, 22, &[202]), [22, 202]);
        let moved = Outputs::from([("ssh-port".to_string(), json!({ "port": 202 }))]);
        assert_eq!(ports(&moved, 22, &[202]), [202, 22]);
    }
}
