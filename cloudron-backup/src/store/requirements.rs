//! Refuses stores that would break a repository.

use bytes::Bytes;
use cloudron_core::{Error, Progress, Result};

use crate::codes;
use crate::store::lifecycle::{Harm, dangers, refuse};
use crate::store::{BackupStore, Known};

/// Refuses a store whose rules delete what backups need, and warns about unknown rules.
///
/// # Errors
/// `store-expires`; errors of the store.
pub(crate) async fn check_rules(store: &dyn BackupStore, progress: &Progress) -> Result<()> {
    let (prefix, url) = (store.key_prefix(), store.url());
    let lifecycle = match store.lifecycle().await? {
        Known::Is(lifecycle) => lifecycle,
        Known::Unknown(why) => {
            progress.warn(format!("whether {url} deletes objects by age is not known: {why}"));
            return Ok(());
        }
    };
    refuse(&lifecycle, &prefix, &url)?;
    for danger in dangers(&lifecycle, &prefix) {
        if let Harm::ArchivesIndex(_) = danger.harm {
            progress.warn(format!("{url}: {danger}: the index and the list of backups are among them"));
        }
    }
    Ok(())
}

/// Checks, with an object that was just written, that a conditional write does not overwrite it.
///
/// # Errors
/// `store-conditional` if it does; errors of the store.
pub(crate) async fn check_conditional(store: &dyn BackupStore, key: &str, content: &Bytes) -> Result<()> {
    if !store.put_new(key, content).await? {
        return Ok(());
    }
    Err(writes_over(store).await)
}

/// Returns the error for a store that overwrote an object despite the condition, with the cause if it is known.
async fn writes_over(store: &dyn BackupStore) -> Error {
    let versions = store.rules().await.is_ok_and(|rules| rules.versioning == Known::Is(true));
    let text = format!("{} writes over an object that it was told to keep", store.url());
    match versions {
        true => {
            let text = format!("{text}, as some services do in a bucket that keeps versions");
            Error::new(&codes::STORE_CONDITIONAL, text).with_detail("versioned", store.url())
        }
        false => Error::new(&codes::STORE_CONDITIONAL, text),
    }
}
