//! Starting, stopping and watching the server.

mod status;

pub use status::ServiceStatus;

use std::time::Duration;

use crate::{Error, Layout, Result, codes};

/// Starts the server and waits until it answers. One that runs already is left alone.
///
/// # Errors
/// `machine-missing`, `start-failed`, `start-timeout`, and the reason that the server itself gives, such as
/// `port-in-use` or `database-corrupt`.
pub fn start(layout: &Layout, limit: Duration) -> Result<ServiceStatus> {
    let _ = (layout, limit);
    Err(Error::new(&codes::START_FAILED, "this build cannot start"))
}

/// Stops the server and waits until it is gone. One that does not run is no error.
///
/// # Errors
/// `install-command`, or `permission` when the process belongs to somebody else.
pub fn stop(layout: &Layout) -> Result<()> {
    let _ = layout;
    Err(Error::new(&codes::START_FAILED, "this build cannot stop"))
}

/// Whether the server runs and answers.
///
/// # Errors
/// `machine-missing`, and those of file operations.
pub fn status(layout: &Layout) -> Result<ServiceStatus> {
    let _ = layout;
    Err(Error::new(&codes::NOT_RUNNING, "this build cannot tell"))
}
