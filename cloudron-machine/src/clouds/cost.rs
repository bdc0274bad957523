//! What a machine costs, without a domain and without a key.

use cloudron_core::Result;
use cloudron_provision::cloud::Plan;

use super::{CloudSettings, Opening, open};
use crate::manager::Manager;

/// The domain in the names of a plan for nobody.
const NAME: &str = "example.com";
/// A public key, which a plan needs and sends nowhere. Nobody has its private half.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

impl Manager {
    /// Returns the plan of a machine with these settings for its cost; the names in it are of example.com. It only reads.
    ///
    /// # Errors
    /// Any error of the cloud or of the settings.
    pub async fn cloud_cost(&self, settings: &CloudSettings) -> Result<Plan> {
        let account = self.any_account()?;
        let mut settings = settings.clone();
        settings.check()?;
        settings.public_key = KEY.into();
        open(account, Opening::new(&settings, self.login(account, None)))?.plan(NAME).await
    }
}
