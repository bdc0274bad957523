//! The server's listening sockets.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::layout::FRONT_USER;
use crate::system::peer;
use crate::system::port::port_error;
use crate::{Error, Layout, Result};

/// Maximum number of connections waiting to be accepted.
const BACKLOG: u32 = 1024;

/// Where clients come from.
#[derive(Debug)]
pub(crate) enum Listeners {
    /// From addresses of the server's own.
    Addresses(Vec<TcpListener>),
    /// From the front, which has this user number.
    Front(UnixListener, u32),
}

impl Listeners {
    /// Returns the port of the first address.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Addresses(all) => all.first()?.local_addr().ok().map(|address| address.port()),
            Self::Front(..) => None,
        }
    }
}

/// Listens for the front, if the unit of this process has a folder for its socket, and otherwise on the addresses: below
/// one folder, and in the unit of an earlier version.
///
/// # Errors
/// `install-unsupported` without a user of the front, and those of [`all`].
pub(crate) fn of(layout: &Layout, addresses: &[SocketAddr]) -> Result<Listeners> {
    let socket: Option<PathBuf> = layout.interface_socket().filter(|s| s.parent().is_some_and(Path::is_dir));
    let Some(socket) = socket else { return all(addresses).map(Listeners::Addresses) };
    let front = peer::uid_of(FRONT_USER)?.ok_or_else(|| {
        let text = format!("this machine has no user {FRONT_USER}");
        Error::new(&crate::codes::INSTALL_UNSUPPORTED, text)
    })?;
    Ok(Listeners::Front(at(&socket)?, front))
}

/// Listens at a path. Everybody may connect; who it is, is asked then.
fn at(path: &Path) -> Result<UnixListener> {
    crate::system::files::remove_file(path)?;
    let listener = UnixListener::bind(path).map_err(|e| Error::io(path, e))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(|e| Error::io(path, e))?;
    Ok(listener)
}

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
