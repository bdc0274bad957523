//! The server's backup store, and its credentials.

use std::sync::Arc;

use cloudron_api::{StoreAccess, StoreCredentials};
use cloudron_backup::{BackupStore, StoreOptions, open_store, open_store_with};

use crate::settings::WorkerSettings;
use crate::system::files;
use crate::{Layout, Result};

/// Returns the options for opening the store.
pub(crate) fn options(access: StoreAccess) -> StoreOptions {
    let options = StoreOptions::default().at(access.region, access.endpoint).trusting(access.ca);
    match access.credentials {
        StoreCredentials::Key { access_key_id, secret_access_key } => {
            options.with_credentials(access_key_id, secret_access_key)
        }
        StoreCredentials::Instance { .. } => options.of_instance(),
    }
}

/// Opens the machine's store with the credentials from its installation. Without any, an object store is
/// opened with those of the environment.
pub(crate) fn open(layout: &Layout, settings: &WorkerSettings) -> Result<Arc<dyn BackupStore>> {
    match files::read_json::<StoreAccess>(&layout.store_access())? {
        Some(access) => open_store_with(&settings.store, &options(access)),
        None => open_store(&settings.store),
    }
}
