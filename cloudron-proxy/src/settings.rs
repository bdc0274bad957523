//! The settings of a proxy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Clock, SystemClock};
use rustls::crypto::CryptoProvider;

use crate::{AccessLog, Challenges};

/// The settings of a proxy, which do not change while it runs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The cryptography of TLS.
    pub provider: Arc<CryptoProvider>,
    /// Limits on what clients and upstreams can hold.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
    /// The clock that measures requests and idle connections. The system's by default.
    pub clock: Arc<dyn Clock>,
    /// Who is told of each response. Nobody by default.
    pub access_log: Option<Arc<dyn AccessLog>>,
    /// The challenges that the plain port answers.
    pub challenges: Challenges,
    /// The port to which the plain port redirects. 443 by default.
    pub https_port: u16,
}

impl Settings {
    /// Creates settings with this cryptography.
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            clock: Arc::new(SystemClock),
            access_log: None,
            challenges: Challenges::default(),
            https_port: 443,
        }
    }

    /// Creates settings with the cryptography of ring.
    #[cfg(feature = "ring")]
    pub fn with_ring() -> Self {
        Self::new(Arc::new(rustls::crypto::ring::default_provider()))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .field("https_port", &self.https_port)
            .finish_non_exhaustive()
    }
}

/// Limits on what clients and upstreams can hold.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Connections of clients, after their handshake. 4,096 by default.
    pub connections: usize,
    /// Those among them that only the privileged route may use. 64 by default.
    pub reserve: usize,
    /// Connections of clients before the end of their handshake. 512 by default.
    pub handshakes: usize,
    /// Connections to the plain port. 512 by default.
    pub plain: usize,
    /// Bytes of the head of a request or a response. 32 KiB by default.
    pub head_size: usize,
    /// Fields of a head. 100 by default.
    pub fields: usize,
    /// Bytes of a request target. 16 KiB by default.
    pub target: usize,
    /// Requests at once on a connection with HTTP/2. 100 by default.
    pub streams: u32,
    /// Idle connections that are kept to each upstream. 32 by default.
    pub pool: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            reserve: 64,
            handshakes: 512,
            plain: 512,
            head_size: 32 * 1024,
            fields: 100,
            target: 16 * 1024,
            streams: 100,
            pool: 32,
        }
    }
}

/// Time limits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timeouts {
    /// The TLS handshake. 10 seconds by default.
    pub handshake: Duration,
    /// The head of a request, from its first byte. 10 seconds by default.
    pub header: Duration,
    /// A connection of a client without a request. 60 seconds by default.
    pub idle: Duration,
    /// A client that sends nothing of a body that it began, or reads less than 1 KiB of what waits for it. 30 seconds by
    /// default.
    pub client: Duration,
    /// Connecting to an upstream. 5 seconds by default.
    pub connect: Duration,
    /// An upstream that does not begin its response. 60 seconds by default.
    pub response: Duration,
    /// An upstream that sends nothing of a body that it began, such as a stream of events. 5 minutes by default.
    pub upstream: Duration,
    /// An upgraded connection on which nobody sends anything. 1 hour by default.
    pub tunnel: Duration,
    /// An idle connection to an upstream. 30 seconds by default.
    pub pool: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            handshake: seconds(10),
            header: seconds(10),
            idle: seconds(60),
            client: seconds(30),
            connect: seconds(5),
            response: seconds(60),
            upstream: seconds(300),
            tunnel: seconds(3600),
            pool: seconds(30),
        }
    }
}
