//! TCP ports of this machine.

use std::net::{Ipv4Addr, TcpListener};

use cloudron_core::{Error, Result};

use crate::codes;

/// Returns a TCP port that is free on this machine's loopback address: the given one, or any. It stays free only until
/// another program uses it.
///
/// # Errors
/// `port-taken` if the given port is in use, `permission` if this user may not listen on it.
pub fn free_port(wanted: Option<u16>) -> Result<u16> {
    let port = wanted.unwrap_or(0);
    let taken = || Error::new(&codes::PORT_TAKEN, format!("port {port} on 127.0.0.1 is in use"));
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|l| l.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(taken()),
        Err(e) => Err(Error::io(format!("port {port} on 127.0.0.1"), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = free_port(Some(held.local_addr().unwrap().port())).unwrap_err();
        assert_eq!(error.kind().exit_code(), 5);
        assert_ne!(free_port(None).unwrap(), 0);
    }
}
