//! Connection options for RFC 2136: server address, TSIG key and zone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Clock, RetryPolicy, SystemClock};

use super::TsigKey;
use crate::Name;

/// Connection options for RFC 2136: server address, TSIG key and zone.
#[derive(Clone)]
#[non_exhaustive]
pub struct Rfc2136Options {
    /// Address of the primary server, over TCP; the port is usually 53.
    pub server: SocketAddr,
    /// The key that signs messages. Without one, the server must authorize our address.
    pub key: Option<TsigKey>,
    /// The zone. Without it, the server is queried for the zone of each name, and zones cannot be listed.
    pub zone: Option<Name>,
    /// True to read zones by transfer (AXFR) if the server allows it, in one exchange. Otherwise each name and type
    /// is queried, which cannot read whole zones.
    pub transfer: bool,
    /// Time limit for connecting, and for each message of a response.
    pub timeout: Duration,
    /// Retry policy for reads after transient failures. Writes are never repeated.
    pub retry: RetryPolicy,
    /// The clock; its time is in every signature.
    pub clock: Arc<dyn Clock>,
}

impl Rfc2136Options {
    /// Creates options for a server without a key. Defaults: 10 seconds for a response, 3 attempts to read.
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

    /// Sets the key that signs messages.
    pub fn with_key(self, key: TsigKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Restricts the provider to this zone.
    pub fn with_zone(self, zone: Name) -> Self {
        Self { zone: Some(zone), ..self }
    }

    /// Sets whether zones are read by transfer.
    pub fn with_transfer(self, transfer: bool) -> Self {
        Self { transfer, ..self }
    }

    /// Sets the clock.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Sets the time limit for each message of a response.
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}
