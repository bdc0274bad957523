//! A repository as a whole: whether there is one, what it holds, and removing it.

use std::path::Path;
use std::sync::Arc;

use cloudron_core::{BackupId, Result};

use super::Repository;
use crate::codes;
use crate::layout::{self, is_of_backups, is_of_repository};
use crate::store::{BackupStore, open_store};

/// An existing repository.
pub struct Earlier {
    /// The repository.
    pub repository: Repository,
    /// The number of backups, including unreadable ones.
    pub backups: usize,
    /// The latest backup.
    pub latest: Option<BackupId>,
    /// True if nothing was ever stored in it: left over from an interrupted run or a machine without backups.
    pub unused: bool,
}

impl Earlier {
    /// Returns true if it is the repository with that id, and nothing was ever stored in it.
    pub fn is_unused(&self, id: &str) -> bool {
        self.repository.id() == id && self.unused
    }

    /// Returns a description of the contents for display: `3 backups, latest backup_…`.
    pub fn holds(&self) -> String {
        let number = match self.backups {
            0 => return "no backups".into(),
            1 => "1 backup".into(),
            n => format!("{n} backups"),
        };
        self.latest.as_ref().map_or(number.clone(), |latest| format!("{number}, latest {latest}"))
    }
}

/// Looks whether there is a repository, and what is in it. Needs no key.
///
/// # Errors
/// Those of [`Repository::open`] and of the store.
pub async fn look(store: &Arc<dyn BackupStore>) -> Result<Option<Earlier>> {
    let repository = match Repository::open(store.clone()).await {
        Err(e) if e.is(&codes::REPOSITORY_MISSING) => return Ok(None),
        other => other?,
    };
    let list = repository.snapshots().await?;
    let backups = list.summaries.len() + list.unreadable.len();
    let latest = list.latest().map(|summary| summary.id.clone());
    let unused = backups == 0 && !store.list("").await?.iter().any(|o| is_of_backups(&o.key));
    Ok(Some(Earlier { repository, backups, latest, unused }))
}

/// The objects of the repository in a store, in the order in which they are removed: the description goes last, so that a
/// removal that was interrupted can be repeated. Files beside the repository are not among them.
///
/// # Errors
/// Those of the store.
pub async fn objects(store: &Arc<dyn BackupStore>) -> Result<Vec<String>> {
    let mut keys: Vec<String> = store.list("").await?.into_iter().map(|o| o.key).collect();
    keys.retain(|key| is_of_repository(key));
    keys.sort_by_key(|key| key == layout::CONFIG);
    Ok(keys)
}

/// Removes the repository in a store with all its backups. Files beside it stay.
///
/// # Errors
/// Those of the store.
pub async fn remove(store: &Arc<dyn BackupStore>) -> Result<()> {
    for key in objects(store).await? {
        store.delete(&key).await?;
    }
    Ok(())
}

/// Removes the repository in a folder of this computer with all its backups, and the folder if nothing else is in it.
///
/// # Errors
/// Those of the store.
pub async fn remove_folder(folder: &Path) -> Result<()> {
    remove(&open_store(&folder.to_string_lossy())?).await?;
    remove_empty(folder);
    Ok(())
}

/// Removes the repository of that id in a folder of this computer when nothing was ever stored in it. Says whether that was
/// so.
///
/// # Errors
/// Those of the store.
pub async fn remove_unused_folder(folder: &Path, id: &str) -> Result<bool> {
    match look(&open_store(&folder.to_string_lossy())?).await? {
        Some(found) if found.is_unused(id) => remove_folder(folder).await.map(|()| true),
        _ => Ok(false),
    }
}

/// Removes a folder and its subfolders as far as they are empty. Ignores errors, since none of them is a
/// backup.
fn remove_empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(folder);
}
