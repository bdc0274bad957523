//! Finds the remains of a repository whose description is missing.
//!
//! `init` considers a store empty only if no object in it can belong to a repository. The description can be
//! lost, withheld or not yet copied while backups exist, and a new identity would make them unreadable for ever.

use cloudron_core::{Error, Result};

use crate::store::BackupStore;
use crate::{codes, layout};

/// Folders that are filled only after the description was written.
const WRITTEN_LATER: [&str; 9] = [
    layout::SNAPSHOTS,
    layout::PACKS,
    layout::INDEX,
    layout::CONDEMNED,
    layout::FORGOTTEN,
    layout::WRITERS,
    layout::REVOKED,
    layout::COPIES,
    layout::LOCKS,
];

/// The content of a store without a description.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Traces {
    /// No object of a repository.
    Nothing,
    /// Only key objects: of an interrupted `init`, or of a repository that lost everything else.
    Keys(Vec<String>),
    /// An object of a repository that was in use.
    Repository(String),
}

/// Looks for objects of a repository.
pub(crate) async fn look(store: &dyn BackupStore) -> Result<Traces> {
    for prefix in WRITTEN_LATER {
        if let Some(object) = store.list(prefix).await?.into_iter().next() {
            return Ok(Traces::Repository(object.key));
        }
    }
    let keys = store.list(layout::KEYS).await?.into_iter().map(|o| o.key);
    let keys: Vec<String> = keys.filter(|key| key.ends_with(".age")).collect();
    Ok(if keys.is_empty() { Traces::Nothing } else { Traces::Keys(keys) })
}

/// Returns the error for a repository with objects but without its description.
pub(crate) fn lost_description(store: &dyn BackupStore, object: &str) -> Error {
    let text = format!(
        "a backup repository was in {}: {object} is there, and its description {} is missing",
        store.url(),
        layout::CONFIG
    );
    let hint = format!(
        "put {} back from a copy of the repository, or finish the copy that was cut off; for a new repository \
         choose an address where nothing is",
        layout::CONFIG
    );
    Error::new(&codes::REPOSITORY_LOST, text).with_hint(hint)
}

/// Returns the error for key objects that the backup key does not open.
pub(crate) fn other_key(store: &dyn BackupStore, object: &str) -> Error {
    let text = format!(
        "a repository was begun in {} with another backup key: {object} is there, and no backup",
        store.url()
    );
    Error::new(&codes::REPOSITORY_LOST, text).with_detail("begun", store.url())
}
