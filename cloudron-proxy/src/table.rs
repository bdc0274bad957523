//! The table of routes.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::ResolvesServerCert;

use crate::{Error, Result, codes, host};

/// Where the requests of each host go, and the certificates for it. A table does not change: a running proxy is given
/// [another one](crate::Proxy::swap), at once and for all requests that begin later.
#[derive(Clone)]
pub struct Table {
    pub(crate) routes: HashMap<String, Route>,
    pub(crate) certificates: Arc<dyn ResolvesServerCert>,
}

impl Table {
    /// Creates a table without routes.
    pub fn new(certificates: Arc<dyn ResolvesServerCert>) -> Self {
        Self { routes: HashMap::new(), certificates }
    }

    /// Adds the route of a host: a name in lower case, or `*.` and a name for all hosts one label below it. A host's own
    /// route comes before that of a wildcard.
    ///
    /// # Errors
    /// `proxy-route-invalid` if the host is no name or has a route, if a limit is zero, or if another route is the
    /// privileged one.
    pub fn route(mut self, host: &str, route: Route) -> Result<Self> {
        let problem = if !host::is_pattern(host) {
            "is not a host name in lower case"
        } else if self.routes.contains_key(host) {
            "has two routes"
        } else if route.budget.connections == 0 || route.budget.requests == 0 {
            "has a budget of zero"
        } else if route.privileged && self.routes.values().any(|other| other.privileged) {
            "cannot be privileged: another route is"
        } else {
            self.routes.insert(host.to_owned(), route);
            return Ok(self);
        };
        let host = cloudron_core::escape::line(host).chars().take(260).collect::<String>();
        Err(Error::new(&codes::ROUTE_INVALID, format!("{host} {problem}")).with_detail("host", host))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("routes", &self.routes).finish_non_exhaustive()
    }
}

/// Where the requests of a host go, and how many there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The program that answers.
    pub upstream: Upstream,
    /// The protocol that it speaks. HTTP/1.1 by default.
    pub protocol: Protocol,
    /// How much the route may use at once.
    pub budget: Budget,
    /// Whether the route may also use the [reserve](crate::Limits::reserve). One route may.
    pub privileged: bool,
    /// Time limit for the upstream to begin its response, instead of the [general one](crate::Timeouts::response).
    pub response: Option<Duration>,
}

impl Route {
    /// Creates a route to an upstream that speaks HTTP/1.1.
    pub fn new(upstream: Upstream) -> Self {
        let (protocol, budget) = (Protocol::default(), Budget::default());
        Self { upstream, protocol, budget, privileged: false, response: None }
    }

    /// Sets the protocol of the upstream.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets how much the route may use at once.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Lets the route use the reserve.
    pub fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Sets the time limit for the upstream to begin its response.
    pub fn response(mut self, limit: Duration) -> Self {
        self.response = Some(limit);
        self
    }
}

/// The address of a program that answers requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upstream {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The protocol that an upstream speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    Http1,
    /// HTTP/2 without TLS, from the first byte (RFC 9113, section 3.3), as gRPC needs it.
    H2c,
}

/// How much one route may use at once, so that it leaves something for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Connections of clients. 512 by default.
    pub connections: usize,
    /// Requests at the upstream, with connections that were upgraded. 512 by default.
    pub requests: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { connections: 512, requests: 512 }
    }
}
