//! Runs work on a blocking thread.

use cloudron_core::{Cancel, Progress, Result};

use super::Repository;
use crate::keys::{Identity, WriterKeys};
use crate::snapshot::{Reading, Session, Writing};
use crate::store::blocking::on_thread;

impl Repository {
    /// Runs work with a blocking view of the repository.
    pub(super) async fn session<T: Send + 'static>(
        &self,
        progress: &Progress,
        cancel: &Cancel,
        work: impl FnOnce(Session<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (config, progress) = (self.config.clone(), progress.clone());
        let memory = self.memory();
        on_thread(&self.store, cancel, move |store, stop| {
            let (config, memory, progress) = (&config, memory.as_deref(), &progress);
            work(Session { store, config, memory, progress, stop })
        })
        .await
    }

    /// Runs work that reads with the owner's identity.
    pub(super) async fn reading<T: Send + 'static>(
        &self,
        identity: &Identity,
        progress: &Progress,
        cancel: &Cancel,
        work: impl FnOnce(&Reading<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let identity = identity.clone();
        self.session(progress, cancel, move |session| work(&Reading::new(session, &identity)?)).await
    }

    /// Runs work that writes with the keys of a writer.
    pub(super) async fn writing<T: Send + 'static>(
        &self,
        keys: &WriterKeys,
        progress: &Progress,
        cancel: &Cancel,
        work: impl FnOnce(&Writing<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let keys = keys.clone();
        self.session(progress, cancel, move |session| work(&Writing::new(session, &keys)?)).await
    }

    /// Returns the cache folder of this repository.
    pub(super) fn memory(&self) -> Option<std::path::PathBuf> {
        self.cache_dir.as_ref().map(|dir| dir.join(&self.config.id))
    }
}
