//! The backups of a machine as its owner's computer sees them, whether or not the machine's server runs.

mod kept;
mod remote_folder;
mod search;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_backup::{BackupStore, Repository, is_of_backups, is_of_repository, open_store};
use cloudron_core::{BackupId, Result};

pub use remote_folder::RemoteFolder;
pub use search::{describe_ignored, find};

use crate::registry::Reach;

/// The object that a repository has from its making to its end.
const DESCRIPTION: &str = "cloudron-backup.json";

/// Where a repository is, for work that no [`BackupStore`] does: removing it as a whole.
#[derive(Debug, Clone)]
pub enum Folder {
    /// A folder of this computer.
    Near(PathBuf),
    /// A folder of a machine.
    Far(Arc<RemoteFolder>),
    /// A bucket.
    Bucket(Arc<dyn BackupStore>),
}

impl Folder {
    /// The folder or bucket at an address, as seen from this computer.
    pub fn of(url: &str) -> Result<Self> {
        match folder_of(url) {
            Some(path) => {
                Ok(Self::Near(std::path::absolute(path).map_err(|e| cloudron_core::Error::io(path, e))?))
            }
            None => open_store(url).map(Self::Bucket),
        }
    }

    /// The store, to read and where possible to write.
    pub fn store(&self) -> Result<Arc<dyn BackupStore>> {
        Ok(match self {
            Self::Near(path) => open_store(&path.to_string_lossy())?,
            Self::Far(far) => far.clone(),
            Self::Bucket(store) => store.clone(),
        })
    }
}

/// The path of a folder's address; `None` for a bucket.
pub fn folder_of(url: &str) -> Option<&str> {
    match url.split_once("://") {
        None => Some(url),
        Some(("file", path)) => Some(path),
        Some(_) => None,
    }
}

/// Where backups are, for people: the computer and the folder, or the bucket.
pub fn place(reach: &Reach, url: &str) -> String {
    match (folder_of(url), reach) {
        (None, _) => format!("in {url}"),
        (Some(folder), Reach::Local { .. }) => format!("in {folder}"),
        (Some(folder), Reach::Generic(ssh)) => format!("on {} in {folder}", ssh.host),
    }
}

/// Whether the backups lie on the machine that they are backups of.
pub fn is_on_machine(reach: &Reach, url: &str) -> bool {
    matches!(reach, Reach::Generic(_)) && folder_of(url).is_some()
}

/// A repository that is there already.
pub struct Earlier {
    /// The repository.
    pub repository: Repository,
    /// How many backups are in it, those that cannot be read included.
    pub backups: usize,
    /// The latest of them.
    pub latest: Option<BackupId>,
    /// Whether nothing was ever stored in it: it was left by a run that died or a machine without backups.
    pub unused: bool,
}

impl Earlier {
    /// What it holds, for people: `3 backups, latest backup_…`.
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
pub async fn look(store: &Arc<dyn BackupStore>) -> Result<Option<Earlier>> {
    let repository = match Repository::open(store.clone()).await {
        Err(e) if e.is(&cloudron_backup::codes::REPOSITORY_MISSING) => return Ok(None),
        other => other?,
    };
    let list = repository.snapshots().await?;
    let backups = list.summaries.len() + list.unreadable.len();
    let latest = list.latest().map(|summary| summary.id.clone());
    let unused = backups == 0 && !store.list("").await?.iter().any(|o| is_of_backups(&o.key));
    Ok(Some(Earlier { repository, backups, latest, unused }))
}

/// Removes a repository with all its backups. Files beside it stay. The description goes last, so that an interrupted
/// removal can be repeated.
pub async fn remove(folder: &Folder) -> Result<()> {
    let store = folder.store()?;
    let mut keys: Vec<String> = store.list("").await?.into_iter().map(|o| o.key).collect();
    keys.retain(|key| is_of_repository(key));
    keys.sort_by_key(|key| key == DESCRIPTION);
    match folder {
        Folder::Far(far) => far.remove(&keys).await,
        Folder::Bucket(_) => delete(&store, &keys).await,
        Folder::Near(path) => {
            delete(&store, &keys).await?;
            remove_empty(path);
            Ok(())
        }
    }
}

async fn delete(store: &Arc<dyn BackupStore>, keys: &[String]) -> Result<()> {
    for key in keys {
        store.delete(key).await?;
    }
    Ok(())
}

/// Removes a folder and those in it as far as they are empty. What cannot be removed stays: it is no backup.
fn remove_empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(folder);
}

/// Removes the repository of that id when nothing was ever stored in it. Whether it is gone.
pub async fn remove_unused(folder: &Folder, id: &str) -> Result<bool> {
    match look(&folder.store()?).await? {
        Some(found) if found.repository.id() == id && found.unused => remove(folder).await.map(|()| true),
        _ => Ok(false),
    }
}
