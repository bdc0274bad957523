//! Providers of machines.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::Result;

use crate::remote::Remote;
use crate::steps::{Outputs, Step};

/// Creates a machine on which commands can be run. Everything that happens on it afterwards is the same for all
/// providers.
#[async_trait]
pub trait CloudProvider: Send + Sync {
    /// Returns the provider's name on the command line and in journals: `local`, `generic`.
    fn name(&self) -> &'static str;

    /// Checks whether a machine can be created with these settings, before anything is changed. It only reads.
    ///
    /// # Errors
    /// The problem with the settings or the target.
    async fn preflight(&self, fqdn: &str) -> Result<()>;

    /// Returns the steps after which the machine is reachable; the last one is `first-contact`.
    fn steps(&self, fqdn: &str) -> Vec<Arc<dyn Step>>;

    /// Connects to the machine that these steps created, as far as they have completed.
    ///
    /// # Errors
    /// Any error of the connection.
    async fn connect(&self, outputs: &Outputs) -> Result<Arc<dyn Remote>>;

    /// Opens a new connection on another port of the machine and trusts only the recorded host key.
    ///
    /// # Errors
    /// Any error of the connection. The default implementation always fails, for machines that are not reached by SSH.
    async fn connect_on(&self, port: u16, outputs: &Outputs) -> Result<Arc<dyn Remote>> {
        let _ = outputs;
        let message = format!("a machine of the provider {} is not reached over port {port}", self.name());
        Err(cloudron_core::Error::new(&crate::codes::SSH_PORT, message))
    }

    /// Returns whether undoing needs a login on the machine. It does not where the machine itself is removed: then a run
    /// is undone although nobody can log in, for example because the machine showed another host key.
    fn undone_by_login(&self) -> bool {
        true
    }
}
