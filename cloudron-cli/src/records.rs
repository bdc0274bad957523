//! Name servers as options.

use std::net::{IpAddr, SocketAddr};

pub(crate) use cloudron_machine::dns::{both_families, lookup, zone_of};

/// A name server as users write it: an address, with or without a port.
pub(crate) fn name_server(text: &str) -> std::result::Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| "an IP address is expected, with or without a port".to_owned())
}
