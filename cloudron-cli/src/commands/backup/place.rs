//! Where a repository is, and what opens it.

use std::sync::Arc;

use clap::Args;
use cloudron_backup::{BackupStore, Identity, Repository, open_store};
use cloudron_core::{Result, Secret};

use crate::output::Output;
use crate::secrets;

/// The store that a command works on.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The store: a folder, file:///folder or s3://bucket/prefix
    #[arg(long, value_name = "URL", env = "CLOUDRON_BACKUP_STORE")]
    pub store: String,
}

impl Place {
    /// The store, whether or not a repository is in it.
    pub(crate) fn open_store(&self) -> Result<Arc<dyn BackupStore>> {
        open_store(&self.store)
    }

    /// The repository in the store.
    pub(crate) async fn open(&self) -> Result<Repository> {
        Repository::open(self.open_store()?).await
    }
}

/// The backup key, for commands that read backups.
#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The backup key; otherwise CLOUDRON_BACKUP_KEY_FILE, CLOUDRON_BACKUP_KEY, or a question
    #[arg(long, value_name = "SECRET")]
    pub backup_key: Option<String>,
}

impl Key {
    /// The key, asked for when it was not given.
    pub(crate) fn read(&self, out: &Output) -> Result<Secret> {
        secrets::backup_key(self.backup_key.as_deref(), out)
    }

    /// The repository's identity, and the repository.
    pub(crate) async fn unlock(&self, place: &Place, out: &Output) -> Result<(Repository, Identity)> {
        // The store first: a wrong address is noticed before anybody types a key.
        let repository = place.open().await?;
        let identity = repository.unlock(&self.read(out)?).await?;
        Ok((repository, identity))
    }
}
