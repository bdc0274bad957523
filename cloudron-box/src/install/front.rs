//! What the front needs on a machine of its own.

use std::fs::{self, Permissions};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::account::Users;
use crate::front::FrontSettings;
use crate::settings::Settings;
use crate::system::port::port_error;
use crate::{Error, Layout, Result, service};

/// The port that the front needs besides that of HTTPS.
const PLAIN: u16 = 80;

/// Refuses a machine where another program has the port for plain HTTP.
pub(super) fn check() -> Result<()> {
    let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PLAIN);
    match TcpListener::bind(address) {
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && !service::holds_ports() => {
            Err(port_error(address, &e))
        }
        // A machine without IPv6 is no reason: systemd then opens the port for IPv4.
        _ => Ok(()),
    }
}

/// Makes the folder in which the interface leaves its certificate. Only root can put anything beside it.
pub(super) fn prepare(layout: &Layout, users: Users) -> Result<()> {
    let (Some(state), Some(file)) = (layout.front_state(), layout.front_certificate()) else { return Ok(()) };
    folder(&state, 0o755)?;
    let Some(own) = file.parent() else { return Ok(()) };
    folder(own, 0o700)?;
    // The files in it get the front's group.
    std::os::unix::fs::chown(own, Some(users.interface.uid), Some(users.front.gid))
        .and_then(|()| fs::set_permissions(own, Permissions::from_mode(0o2750)))
        .map_err(|e| Error::io(own, e))
}

fn folder(path: &Path, mode: u32) -> Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(Error::io(path, e)),
        _ => {}
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|e| Error::io(path, e))
}

/// Tells the front what the machine is.
pub(super) fn tell(layout: &Layout, settings: &Settings) -> Result<()> {
    let routes = FrontSettings::load(layout)?.map(|before| before.routes).unwrap_or_default();
    FrontSettings { fqdn: settings.fqdn.clone(), routes }.write(layout)
}
