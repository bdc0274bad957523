//! Discovery of the authoritative name servers of a zone.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use super::walk::Walk;
use crate::{Error, Name, Result, codes};

/// How the authoritative name servers are found, and the time limit of each query.
#[derive(Debug, Clone)]
pub struct Lookup {
    pub(super) start: Start,
    pub(super) port: u16,
    pub(super) query_timeout: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Start {
    /// Walks down from the root, whose addresses are obtained from these resolvers.
    Resolvers(Vec<SocketAddr>),
    /// Walks down from these servers of the root, or of any zone above.
    Above(Vec<SocketAddr>),
    /// Uses these servers as the authoritative ones.
    Given(Vec<SocketAddr>),
}

/// Parses the address of a name server, with or without a port.
///
/// # Errors
/// A `String` that names the expected form, as a parser of command line arguments returns it.
pub fn name_server(text: &str) -> std::result::Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| "an IP address is expected, with or without a port".to_owned())
}

/// The zone of a name, and its authoritative name servers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authority {
    /// The apex of the zone.
    pub zone: Name,
    /// The name servers that the parent zone names and those that the zone itself names.
    pub servers: Vec<Server>,
}

/// One name server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Host name; `None` for a server given by address.
    pub name: Option<Name>,
    /// Addresses; empty if its name has none.
    pub addresses: Vec<SocketAddr>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.addresses.first()) {
            (Some(name), _) => f.write_str(name.without_dot()),
            (None, Some(address)) => address.fmt(f),
            (None, None) => f.write_str("a name server without an address"),
        }
    }
}

impl Lookup {
    /// Walks down from the root. Only the addresses of the root's servers are obtained from the resolvers in
    /// `/etc/resolv.conf`.
    ///
    /// # Errors
    /// `dns-no-answer` if no resolver is configured.
    pub fn system() -> Result<Self> {
        let path = "/etc/resolv.conf";
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let resolvers = resolvers(&text);
        if resolvers.is_empty() {
            let error = Error::new(&codes::NO_ANSWER, format!("{path} names no resolver")).retryable(false);
            return Err(error.with_hint(format!("add a line `nameserver ADDRESS` to {path}")));
        }
        Ok(Self::of(Start::Resolvers(resolvers)))
    }

    /// Walks down from servers of the root, or of any zone above the names that are looked up.
    pub fn from_root(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::of(Start::Above(servers.into_iter().collect()))
    }

    /// Uses these servers as the authoritative ones, without a walk. For home and intranet zones, and for tests.
    pub fn at(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::of(Start::Given(servers.into_iter().collect()))
    }

    fn of(start: Start) -> Self {
        Self { start, port: 53, query_timeout: Duration::from_secs(5) }
    }

    /// Sets another port than 53 for every server that is found.
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Sets another time limit than 5 seconds for each query.
    pub fn with_query_timeout(self, query_timeout: Duration) -> Self {
        Self { query_timeout, ..self }
    }

    /// Returns the zone of a name and its authoritative name servers, found within `limit`.
    ///
    /// # Errors
    /// `dns-no-answer` if no server answers on the way down; `dns-no-delegation` if the walk cannot continue.
    pub async fn authority(&self, name: &Name, limit: Duration) -> Result<Authority> {
        self.authority_until(name, Instant::now() + limit).await
    }

    /// Returns the name servers of a zone. The name must be its apex.
    pub(super) async fn zone_until(&self, zone: &Name, deadline: Instant) -> Result<Authority> {
        let authority = self.authority_until(zone, deadline).await?;
        if authority.zone != *zone {
            let message =
                format!("{zone} is no zone of its own: its name servers answer for {}", authority.zone);
            return Err(Error::new(&codes::NO_DELEGATION, message).with_hint(
                "check at the registrar that the domain is registered and which name servers it has",
            ));
        }
        Ok(authority)
    }

    /// Returns whether the servers were given, rather than found by a walk.
    #[cfg(feature = "wildcard")]
    pub(crate) fn is_given(&self) -> bool {
        matches!(self.start, Start::Given(_))
    }

    pub(super) async fn authority_until(&self, name: &Name, deadline: Instant) -> Result<Authority> {
        let found = Walk::new(self, deadline).run(name).await;
        found.map_err(|e| e.while_doing(format!("looking for the name servers of {name}")))
    }
}

/// Parses the lines `nameserver ADDRESS` (resolv.conf(5)).
fn resolvers(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next())??;
        address.parse::<IpAddr>().ok()
    });
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_simply() {
        let text =
            "# a comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver ::1 # x\nnameserver x\n";
        let found: Vec<String> = resolvers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53"]);
    }
}
