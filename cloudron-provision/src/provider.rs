//! Where machines come from.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::Result;

use crate::remote::Remote;
use crate::steps::{Outputs, Step};

/// Makes a machine on which commands can be run. What happens on it afterwards is the same for all providers.
#[async_trait]
pub trait CloudProvider: Send + Sync {
    /// Its name on the command line and in journals: `local`, `generic`.
    fn name(&self) -> &'static str;

    /// Looks whether a machine can be made with these settings, before anything is changed. Only reads.
    ///
    /// # Errors
    /// What is wrong with the settings, or with the place.
    async fn preflight(&self, fqdn: &str) -> Result<()>;

    /// The steps after which the machine answers; the last one is `first-contact`.
    fn steps(&self, fqdn: &str) -> Vec<Arc<dyn Step>>;

    /// Connects to the machine that these steps made, as far as they have come.
    ///
    /// # Errors
    /// What the connection runs into.
    async fn connect(&self, outputs: &Outputs) -> Result<Arc<dyn Remote>>;

    /// Connects anew on another port of the machine, trusting only the host key that was recorded.
    ///
    /// # Errors
    /// What the connection runs into. The default refuses, for machines that are not reached by SSH.
    async fn connect_on(&self, port: u16, outputs: &Outputs) -> Result<Arc<dyn Remote>> {
        let _ = outputs;
        let message = format!("a machine of the provider {} is not reached over port {port}", self.name());
        Err(cloudron_core::Error::new(&crate::codes::SSH_PORT, message))
    }
}
