//! A blocking view of a store, for threads that may block.

use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Cancel, Result};
use tokio::runtime::Handle;

use crate::runtime::{Stop, blocking};
use crate::store::{BackupStore, ObjectMeta, Thaw, get_all, get_at_most};

/// A store with blocking calls. Never used on the runtime's own threads.
#[derive(Debug, Clone)]
pub(crate) struct Blocking {
    store: Arc<dyn BackupStore>,
    runtime: Handle,
}

impl Blocking {
    /// Creates a view of another store for the same thread.
    pub(crate) fn beside(&self, store: Arc<dyn BackupStore>) -> Self {
        Self { store, runtime: self.runtime.clone() }
    }

    /// Runs asynchronous work with the store and waits for it.
    pub(crate) fn with<T, F: Future<Output = Result<T>>>(
        &self,
        work: impl FnOnce(Arc<dyn BackupStore>) -> F,
    ) -> Result<T> {
        self.runtime.block_on(work(self.store.clone()))
    }

    /// See [`get_at_most`].
    pub(crate) fn get_at_most(&self, key: &str, most: u64) -> Result<Bytes> {
        self.run(get_at_most(&*self.store, key, most))
    }

    fn run<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(call)
    }

    pub(crate) fn url(&self) -> String {
        self.store.url()
    }

    pub(crate) fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.run(self.store.put(key, content))
    }

    pub(crate) fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.run(self.store.put_new(key, content))
    }

    pub(crate) fn put_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        self.run(self.store.put_new_file(key, file))
    }

    /// Checks that an object, which is there, is not written over by a write that must not.
    pub(crate) fn check_conditional(&self, key: &str) -> Result<()> {
        self.run(crate::store::requirements::check_conditional(&*self.store, key, &Bytes::new()))
    }

    /// As [`get_all`].
    pub(crate) fn get_all(
        &self,
        objects: Vec<ObjectMeta>,
        most: u64,
    ) -> Result<Vec<(ObjectMeta, Result<Bytes>)>> {
        self.run(get_all(&self.store, objects, most))
    }

    pub(crate) fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.run(self.store.get_range(key, range))
    }

    pub(crate) fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.run(self.store.head(key))
    }

    pub(crate) fn delete(&self, key: &str) -> Result<()> {
        self.run(self.store.delete(key))
    }

    pub(crate) fn thaw(&self, key: &str, days: u32) -> Result<Thaw> {
        self.run(self.store.thaw(key, days))
    }

    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.run(self.store.list(prefix))
    }
}

/// Runs work with a blocking view of the store on its own thread. Dropping the future stops the work at its
/// next safe point.
pub(crate) async fn on_thread<T: Send + 'static>(
    store: &Arc<dyn BackupStore>,
    cancel: &Cancel,
    work: impl FnOnce(&Blocking, &Stop) -> Result<T> + Send + 'static,
) -> Result<T> {
    let store = Blocking { store: store.clone(), runtime: Handle::current() };
    let (stop, _guard) = Stop::new(cancel);
    blocking(move || work(&store, &stop)).await
}
