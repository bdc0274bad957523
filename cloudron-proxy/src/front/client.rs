//! One connection of a client.

use std::net::IpAddr;
use std::sync::Arc;

use super::activity::Activity;
use super::proxy::Tracked;
use super::seats::Seat;
use crate::framing::Exchange;
use crate::host::HostName;

/// What all requests of a connection share.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    /// The name that the client gave in the TLS handshake.
    pub(super) server_name: Option<HostName>,
    /// Whether the route had no place for another connection: the first request is answered with 503.
    pub(super) crowded: bool,
    /// Whether there is no such route: the first request is the last one.
    pub(super) lost: bool,
    pub(super) activity: Arc<Activity>,
    /// What the connection and the check of its framing tell each other. Nothing uses it with HTTP/2.
    pub(super) exchange: Arc<Exchange>,
    pub(super) seat: Seat,
    pub(super) _tracked: Tracked,
}
