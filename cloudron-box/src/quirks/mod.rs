//! What is peculiar about a machine or its cloud, explained: each with what it means and what to do.

mod network;
mod system;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use crate::Result;
use crate::finding::Finding;
use crate::host::Host;

/// What is looked at beyond the machine itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Questions {
    /// Mail servers whose port 25 is tried. None are tried if it is empty.
    pub mail_servers: Vec<SocketAddr>,
    /// Time for each of them.
    pub limit: Duration,
}

impl Default for Questions {
    fn default() -> Self {
        Self { mail_servers: Vec::new(), limit: Duration::from_secs(5) }
    }
}

impl Questions {
    /// Sets the mail servers whose port 25 is tried.
    pub fn mail_servers(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.mail_servers = servers.into_iter().collect();
        self
    }

    /// Sets the time for each attempt.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

/// Looks for everything that is known to get in the way.
///
/// # Errors
/// File errors and errors of running programs; a program that is not installed is no error.
pub fn look(host: &dyn Host, questions: &Questions) -> Result<Vec<Finding>> {
    let found = [
        network::mail_port(host, questions),
        network::firewalls(host)?,
        network::tables(host)?,
        network::ipv6(host)?,
        system::ssh_socket(host)?,
        system::clock(host)?,
        system::memory(host)?,
    ];
    Ok(found.into_iter().flatten().collect())
}
