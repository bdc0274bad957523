//! Which server is spoken to, as whom, and about what.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Clock, RetryPolicy, SystemClock};

use super::TsigKey;
use crate::Name;

/// Which server is spoken to, as whom, and about what.
#[derive(Clone)]
#[non_exhaustive]
pub struct Rfc2136Options {
    /// The primary server, over TCP; the port is 53 as a rule.
    pub server: SocketAddr,
    /// The key that messages are signed with. Without one, the server must go by our address.
    pub key: Option<TsigKey>,
    /// The zone. Without it, the server is asked for the zone of each name, and cannot list its zones.
    pub zone: Option<Name>,
    /// Whether zones are read by transfer (AXFR) where the server allows it, in one exchange. Otherwise each name and
    /// type is asked for, which cannot read whole zones.
    pub transfer: bool,
    /// How long the server may take to connect, and for each message of an answer.
    pub timeout: Duration,
    /// How often and how long a reading that failed for a passing reason is repeated. Writing is never repeated.
    pub retry: RetryPolicy,
    /// The clock, whose time is in every signature.
    pub clock: Arc<dyn Clock>,
}

impl Rfc2136Options {
    /// A server without a key, and the defaults for everything else: 10 seconds for an answer, 3 tries to read.
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            key: None,
            zone: None,
            transfer: true,
            timeout: Duration::from_secs(10),
            retry: RetryPolicy::attempts(3).within(Duration::from_secs(30)),
            clock: Arc::new(SystemClock),
        }
    }

    /// The same options with the key that messages are signed with.
    pub fn with_key(self, key: TsigKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The same options for this zone alone.
    pub fn with_zone(self, zone: Name) -> Self {
        Self { zone: Some(zone), ..self }
    }

    /// The same options, with or without reading by zone transfer.
    pub fn with_transfer(self, transfer: bool) -> Self {
        Self { transfer, ..self }
    }

    /// The same options with another clock.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The same options with another time limit for each message of an answer.
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}
