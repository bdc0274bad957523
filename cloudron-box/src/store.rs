//! The server's backup store, and the credentials that the server has for it.

use std::sync::Arc;

use cloudron_backup::{BackupStore, StoreOptions, open_store, open_store_with};
use cloudron_core::Secret;
use serde::{Deserialize, Serialize};

use crate::machine::Settings;
use crate::{Layout, Result, files};

/// How the server speaks to an object store. The credentials are its own: they should allow it to write, list and read
/// objects, and not to delete them (see `docs/stores.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreAccess {
    /// The id of the credentials.
    pub access_key_id: String,
    /// Their secret.
    pub secret_access_key: Secret,
    /// The region of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of a service other than Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

impl StoreAccess {
    /// What opening the store takes.
    pub fn options(&self) -> StoreOptions {
        let mut options = StoreOptions::default();
        options.access_key_id = Some(self.access_key_id.clone());
        options.secret_access_key = Some(self.secret_access_key.clone());
        options.region.clone_from(&self.region);
        options.endpoint.clone_from(&self.endpoint);
        options
    }
}

/// The store of the machine, with the credentials that its installation left. Without any, an object store is opened
/// with those of the environment.
pub(crate) fn open(layout: &Layout, settings: &Settings) -> Result<Arc<dyn BackupStore>> {
    match files::read_json::<StoreAccess>(&layout.store_access())? {
        Some(access) => open_store_with(&settings.store, &access.options()),
        None => open_store(&settings.store),
    }
}
