//! The running server.

use crate::{Error, Layout, Result, codes};

/// Runs the server until `shutdown` is ready, then stops it gracefully: open requests finish, a running job
/// is stopped and marked as failed.
///
/// # Errors
/// `machine-missing`, `already-running`, `port-in-use`, `database-corrupt`, `database-newer`, `certificate`.
pub async fn serve(layout: &Layout, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let _ = (layout, shutdown);
    Err(Error::new(&codes::MACHINE_MISSING, "this build cannot serve"))
}
