//! A store that traces its operations.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::Result;

use super::{BackupStore, Known, ObjectMeta, StoreRules, Thaw};
use crate::store::lifecycle::Lifecycle;

/// Returns the store, wrapped if debug traces are enabled.
pub(super) fn of<S: BackupStore + 'static>(store: S) -> Arc<dyn BackupStore> {
    tracing::info!(url = store.url(), "opens a store");
    match tracing::enabled!(tracing::Level::DEBUG) {
        true => Arc::new(Traced(store)),
        false => Arc::new(store),
    }
}

#[derive(Debug)]
struct Traced<S>(S);

/// Runs one operation and traces its kind, duration and result.
async fn traced<T>(
    operation: &str,
    key: &str,
    work: impl Future<Output = Result<T>>,
    came_to: impl FnOnce(&T) -> String,
) -> Result<T> {
    let start = Instant::now();
    let done = work.await;
    let ms = start.elapsed().as_millis() as u64;
    match &done {
        Ok(value) => tracing::debug!(key, ms, "{operation}: {}", came_to(value)),
        Err(error) => tracing::debug!(key, ms, %error, "{operation} failed"),
    }
    done
}

#[async_trait]
impl<S: BackupStore> BackupStore for Traced<S> {
    fn url(&self) -> String {
        self.0.url()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        traced("put", key, self.0.put(key, content), |()| format!("{} bytes", content.len())).await
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        let bytes = content.len();
        traced("put_new", key, self.0.put_new(key, content), |new| format!("{bytes} bytes, new: {new}")).await
    }

    async fn put_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        traced("put_new_file", key, self.0.put_new_file(key, file), |new| format!("new: {new}")).await
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        traced("get", key, self.0.get(key), |content| format!("{} bytes", content.len())).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let from = range.start;
        let came_to = |content: &Bytes| format!("{} bytes from {from} on", content.len());
        traced("get_range", key, self.0.get_range(key, range), came_to).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        let came_to = |meta: &Option<ObjectMeta>| {
            meta.as_ref().map_or_else(|| "nothing".into(), |meta| format!("{} bytes", meta.size))
        };
        traced("head", key, self.0.head(key), came_to).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        traced("list", prefix, self.0.list(prefix), |found| format!("{} objects", found.len())).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        traced("delete", key, self.0.delete(key), |()| "done".into()).await
    }

    fn key_prefix(&self) -> String {
        self.0.key_prefix()
    }

    async fn rules(&self) -> Result<StoreRules> {
        traced("rules", "", self.0.rules(), |_| "read".into()).await
    }

    async fn lifecycle(&self) -> Result<Known<Lifecycle>> {
        traced("lifecycle", "", self.0.lifecycle(), |_| "read".into()).await
    }

    async fn set_lifecycle(&self, lifecycle: &Lifecycle) -> Result<()> {
        traced("set_lifecycle", "", self.0.set_lifecycle(lifecycle), |()| "done".into()).await
    }

    async fn thaw(&self, key: &str, days: u32) -> Result<Thaw> {
        traced("thaw", key, self.0.thaw(key, days), |thaw| format!("{thaw:?}")).await
    }
}
