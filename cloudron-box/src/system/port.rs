//! The addresses that the server listens on.

use std::net::SocketAddr;

use crate::{Error, codes};

/// Returns the error for an address that cannot be listened on.
pub(crate) fn port_error(address: SocketAddr, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::AddrInUse => &codes::PORT_IN_USE,
        std::io::ErrorKind::PermissionDenied => &cloudron_core::codes::PERMISSION,
        _ => &cloudron_core::codes::IO,
    };
    let error = Error::new(code, format!("the server cannot listen on {address}: {error}"));
    if code == &codes::PORT_IN_USE {
        return error.with_hint(format!(
            "`ss -ltnp 'sport = :{}'` shows which program listens there",
            address.port()
        ));
    }
    error
}
