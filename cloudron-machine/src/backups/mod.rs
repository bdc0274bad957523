//! The backups of a machine as seen from the user's computer, whether or not the machine's server runs.

mod kept;
mod list;
mod remote_folder;
mod search;

use std::path::PathBuf;
use std::sync::Arc;

pub use cloudron_backup::whole::{Earlier, look};
use cloudron_backup::{BackupStore, StoreOptions, open_store, open_store_with, whole};
use cloudron_core::Result;

pub use list::ListedBackup;
pub use remote_folder::RemoteFolder;
pub use search::{describe_ignored, entries, find};

use crate::manager::Manager;
use crate::registry::Reach;

/// Location of a repository, for removing it as a whole, which no [`BackupStore`] does.
#[derive(Debug, Clone)]
pub enum Folder {
    /// A folder on this computer.
    Near(PathBuf),
    /// A folder on a machine.
    Far(Arc<RemoteFolder>),
    /// A bucket.
    Bucket(Arc<dyn BackupStore>),
}

impl Folder {
    /// Returns the folder or bucket at a store address, as seen from this computer. A bucket is opened as the environment
    /// says.
    pub fn of(url: &str) -> Result<Self> {
        Self::opened(url, open_store)
    }

    fn opened(url: &str, open: impl Fn(&str) -> Result<Arc<dyn BackupStore>>) -> Result<Self> {
        match folder_of(url) {
            Some(path) => {
                Ok(Self::Near(std::path::absolute(path).map_err(|e| cloudron_core::Error::io(path, e))?))
            }
            None => open(url).map(Self::Bucket),
        }
    }

    /// Returns the store for reading and, where possible, for writing.
    pub fn store(&self) -> Result<Arc<dyn BackupStore>> {
        Ok(match self {
            Self::Near(path) => open_store(&path.to_string_lossy())?,
            Self::Far(far) => far.clone(),
            Self::Bucket(store) => store.clone(),
        })
    }
}

impl Manager {
    /// Sets how this computer opens buckets, in place of the environment: with the credentials of their owner.
    #[must_use]
    pub fn opening_buckets(mut self, options: StoreOptions) -> Self {
        self.buckets = Some(Arc::new(options));
        self
    }

    /// Opens the store at an address with its owner's rights. Makes no request yet.
    ///
    /// # Errors
    /// As [`open_store`] and [`open_store_with`].
    pub fn open_store(&self, url: &str) -> Result<Arc<dyn BackupStore>> {
        match &self.buckets {
            Some(options) if folder_of(url).is_none() => open_store_with(url, options),
            _ => open_store(url),
        }
    }

    /// Returns how the owner opens a bucket.
    pub(crate) fn bucket_options(&self) -> Result<StoreOptions> {
        self.buckets.as_deref().cloned().map_or_else(StoreOptions::from_env, Ok)
    }

    pub(crate) fn folder(&self, url: &str) -> Result<Folder> {
        Folder::opened(url, |url| self.open_store(url))
    }
}

/// Returns the path of a folder's address, or `None` for a bucket.
pub fn folder_of(url: &str) -> Option<&str> {
    match url.split_once("://") {
        None => Some(url),
        Some(("file", path)) => Some(path),
        Some(_) => None,
    }
}

/// Returns the location of backups for display: the computer and the folder, or the bucket.
pub fn place(reach: &Reach, url: &str) -> String {
    match (folder_of(url), reach) {
        (None, _) => format!("in {url}"),
        (Some(folder), Reach::Local { .. }) => format!("in {folder}"),
        (Some(folder), Reach::Generic(ssh)) => format!("on {} in {folder}", ssh.host),
    }
}

/// Returns true if the backups are stored on the machine they belong to.
pub fn is_on_machine(reach: &Reach, url: &str) -> bool {
    matches!(reach, Reach::Generic(_)) && folder_of(url).is_some()
}

/// Removes a repository with all its backups. Files beside it stay.
pub async fn remove(folder: &Folder) -> Result<()> {
    match folder {
        Folder::Far(far) => far.remove(&whole::objects(&folder.store()?).await?).await,
        Folder::Bucket(store) => whole::remove(store).await,
        Folder::Near(path) => whole::remove_folder(path).await,
    }
}

/// Removes the repository with this ID if nothing was ever stored in it. Returns true if it was removed.
pub async fn remove_unused(folder: &Folder, id: &str) -> Result<bool> {
    match look(&folder.store()?).await? {
        Some(found) if found.is_unused(id) => remove(folder).await.map(|()| true),
        _ => Ok(false),
    }
}
