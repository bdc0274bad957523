//! The store as seen by honest operations: between any two of their calls the adversary may act.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{BackupStore, ObjectMeta};
use cloudron_core::Result;

use crate::adversary::Adversary;
use crate::common::sim::SimStore;

/// Counts the requests of honest operations.
#[derive(Debug, Default)]
pub struct Meter {
    calls: AtomicU64,
    read: AtomicU64,
}

impl Meter {
    /// Returns the calls and bytes read since the last call of this function.
    pub fn taken(&self) -> (u64, u64) {
        (self.calls.swap(0, Relaxed), self.read.swap(0, Relaxed))
    }
}

/// The store of one honest operation.
#[derive(Clone)]
pub struct Hostile {
    pub sim: SimStore,
    pub adversary: Option<Arc<Mutex<Adversary>>>,
    pub meter: Arc<Meter>,
}

impl fmt::Debug for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hostile")
    }
}

impl Hostile {
    fn sim(&self) -> &SimStore {
        self.meter.calls.fetch_add(1, Relaxed);
        if let Some(adversary) = &self.adversary {
            adversary.lock().unwrap_or_else(PoisonError::into_inner).between(&self.sim);
        }
        &self.sim
    }

    fn read(&self, content: Bytes) -> Bytes {
        self.meter.read.fetch_add(content.len() as u64, Relaxed);
        content
    }
}

#[async_trait]
impl BackupStore for Hostile {
    fn url(&self) -> String {
        "sim:".into()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.sim().write(key, Some(content.clone()));
        Ok(())
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        Ok(self.sim().write_new(key, content.clone()))
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        Ok(self.read(self.sim().get(key)?))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let content = self.sim().get(key)?;
        let end = (range.end as usize).min(content.len());
        Ok(self.read(content.slice((range.start as usize).min(end)..end)))
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        Ok(self.sim().head(key))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        Ok(self.sim().list(prefix))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.sim().write(key, None);
        Ok(())
    }
}
