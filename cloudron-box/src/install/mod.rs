//! Making a place into a server, and removing it again.

mod request;

pub use request::{InstallAnswer, InstallRequest, RepositoryObject, Supervisor};

use crate::{Error, Layout, Result, codes};

/// Makes a place into a server: user, folders, database, certificate authority, settings, systemd unit. It
/// does not start it. The same run may do it again, and then gets a new setup token.
///
/// # Errors
/// `machine-exists` for another domain or run, `install-request`, `install-unsupported`, `install-command`,
/// `port-in-use`, and those of file operations.
pub fn install(layout: &Layout, request: &InstallRequest) -> Result<InstallAnswer> {
    let _ = (layout, request);
    Err(Error::new(&codes::INSTALL_UNSUPPORTED, "this build cannot install"))
}

/// Stops the server and removes everything that [`install`] made, and the state. The backup store is only
/// removed when `keep_store` is not set and it is a folder of this machine.
///
/// # Errors
/// `install-command`, and those of file operations. What is gone already is no error.
pub fn uninstall(layout: &Layout, keep_store: bool) -> Result<()> {
    let _ = (layout, keep_store);
    Err(Error::new(&codes::INSTALL_UNSUPPORTED, "this build cannot uninstall"))
}
