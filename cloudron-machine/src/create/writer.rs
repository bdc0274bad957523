//! Checks of the server's credentials for its bucket before anything is made.

use bytes::Bytes;
use cloudron_api::{StoreAccess, StoreCredentials};
use cloudron_backup::{BackupStore, StoreOptions, open_store_with};
use cloudron_core::{Progress, Result, ResultExt};

/// The object written for the check. It belongs to no repository and is removed with the owner's credentials.
const PROBE: &str = "writer-check";

/// Writes, lists and reads an object with the server's credentials, and checks whether they could delete it.
/// Warns if they could.
///
/// # Errors
/// Errors of the store.
pub(super) async fn check(
    url: &str,
    access: &StoreAccess,
    owner: &dyn BackupStore,
    progress: &Progress,
) -> Result<()> {
    let writer = open_store_with(url, &options(access.clone()))?;
    let written = async {
        writer.put(PROBE, &Bytes::from_static(b"written to try the credentials of a server")).await?;
        writer.list(PROBE).await?;
        writer.get(PROBE).await
    };
    let written = written.await.doing(|| "trying the credentials for the server".into());
    let can_delete = written.is_ok() && writer.delete(PROBE).await.is_ok();
    owner.delete(PROBE).await?;
    written?;
    if can_delete {
        progress.warn(
            "the credentials for the server can delete objects, so that an attacker on the server can destroy the \
             backups; docs/stores.md has a policy without that right",
        );
    }
    Ok(())
}

/// Returns the options for opening the store as the server does.
fn options(access: StoreAccess) -> StoreOptions {
    let options = StoreOptions::default().at(access.region, access.endpoint).trusting(access.ca);
    match access.credentials {
        StoreCredentials::Key { access_key_id, secret_access_key } => {
            options.with_credentials(access_key_id, secret_access_key)
        }
        StoreCredentials::Instance { .. } => options.of_instance(),
    }
}
