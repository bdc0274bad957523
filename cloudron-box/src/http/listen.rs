//! The server's listening sockets.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::system::port::port_error;
use crate::{Error, Result};

/// Maximum number of connections waiting to be accepted.
const BACKLOG: u32 = 1024;

/// Listens on all addresses. On a machine without IPv6, IPv6 addresses are skipped if there are others.
///
/// # Errors
/// `port-in-use`, `permission`, `io`.
pub(crate) fn all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        match one(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if address.is_ipv6() && addresses.len() > 1 && lacks_ipv6(&error) => {
                tracing::warn!(%address, %error, "This machine has no IPv6");
            }
            Err(error) => return Err(port_error(*address, &error)),
        }
    }
    if listeners.is_empty() {
        return Err(Error::new(&crate::codes::CONFIG_CORRUPT, "there is no address to listen on"));
    }
    Ok(listeners)
}

fn lacks_ipv6(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn one(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    if address.is_ipv6() {
        // Otherwise `[::]` would also take the port of `0.0.0.0`, and the two could not be used together.
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = all(&[taken.local_addr().unwrap()]).unwrap_err();
        assert!(error.is(&codes::PORT_IN_USE) && error.hint().is_some(), "{error:?}");
    }

    #[tokio::test]
    async fn both_families_can_listen_on_one_port() {
        let first = all(&["0.0.0.0:0".parse().unwrap()]).unwrap();
        let port = first[0].local_addr().unwrap().port();
        drop(first);
        let both = ["0.0.0.0", "[::]"].map(|ip| format!("{ip}:{port}").parse().unwrap());
        assert!(!all(&both).unwrap().is_empty());
    }
}
