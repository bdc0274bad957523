//! A store in memory, for tests and experiments.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::Result;

use crate::store::{BackupStore, ObjectMeta, check_key, missing};

type Objects = BTreeMap<String, (Bytes, SystemTime)>;

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<Objects>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, key: &str) -> Result<Bytes> {
        let found = self.objects().get(key).map(|o| o.0.clone());
        found.ok_or_else(|| missing(&self.url(), key))
    }
}

#[async_trait]
impl BackupStore for MemoryStore {
    fn url(&self) -> String {
        "memory:".to_owned()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        check_key(key)?;
        self.objects().insert(key.to_owned(), (content.clone(), SystemTime::now()));
        Ok(())
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        check_key(key)?;
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Ok(false);
        }
        objects.insert(key.to_owned(), (content.clone(), SystemTime::now()));
        Ok(true)
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        self.content(key)
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let content = self.content(key)?;
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(content.len());
        let (start, end) = (at(range.start), at(range.end));
        Ok(content.slice(start..end.max(start)))
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        Ok(self.objects().get(key).map(|(content, time)| meta(key, content, *time)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let objects = self.objects();
        let from = objects.range(prefix.to_owned()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, (content, time))| meta(key, content, *time)).collect())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        check_key(key)?;
        self.objects().remove(key);
        Ok(())
    }
}

fn meta(key: &str, content: &Bytes, time: SystemTime) -> ObjectMeta {
    ObjectMeta::new(key, content.len() as u64).modified(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_conforms() {
        crate::store::conformance::check(std::sync::Arc::new(MemoryStore::new())).await;
        crate::store::conformance::check_long_list(std::sync::Arc::new(MemoryStore::new()), 3_000).await;
    }
}
