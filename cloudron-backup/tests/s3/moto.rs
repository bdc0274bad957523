//! Stores on the test's own `moto_server`.

use std::sync::Arc;
use std::time::Duration;

use cloudron_backup::{BackupStore, StoreOptions, open_store_with};
use cloudron_core::Secret;
use cloudron_testkit::moto;

pub(crate) struct Moto(moto::Moto);

impl Moto {
    /// Starts a server with a bucket called `bucket`. Returns `None` if moto is not installed.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        let moto = Self(moto::Moto::start()?);
        moto.request("PUT", "/bucket", "");
        Some(moto)
    }

    pub(crate) fn options(&self) -> StoreOptions {
        options(&self.0.endpoint())
    }

    pub(crate) fn store(&self, url: &str) -> Arc<dyn BackupStore> {
        open_store_with(url, &self.options()).unwrap()
    }

    /// Creates a bucket with versioning, whose new objects are locked for 30 days.
    pub(crate) fn create_locked_bucket(&self, name: &str) {
        let locked = ["x-amz-bucket-object-lock-enabled: true"];
        self.0.request("s3", "PUT", &format!("/{name}"), &locked, "");
        let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
            <Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        self.request("PUT", &format!("/{name}?object-lock"), lock);
    }

    /// Sends a request from outside of the store. Returns the response with its header.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> String {
        self.0.request("s3", method, path, &[], body)
    }
}

/// Returns options for a server at this address, with short timeouts.
pub(crate) fn options(endpoint: &str) -> StoreOptions {
    let mut options = StoreOptions::default();
    options.endpoint = Some(endpoint.to_owned());
    options.access_key_id = Some("id".to_owned());
    options.secret_access_key = Some(Secret::new("canary-secret-key"));
    options.retry = options.retry.waits(Duration::from_millis(1), Duration::from_millis(20));
    options
}
