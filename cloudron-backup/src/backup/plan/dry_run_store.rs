//! A store that discards all writes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::{Error, Result};

use crate::store::{BackupStore, ObjectMeta, check_key, missing};

/// Objects up to this size, in bytes, are kept in memory, so that they can be read again.
const KEPT: usize = 64 << 10;

/// An object that was written, or `None` for a deleted one.
type Written = Option<(ObjectMeta, Option<Bytes>)>;

/// Reads from another store, and keeps all writes in memory. Of large objects only the size is kept.
#[derive(Debug)]
pub(crate) struct DryRunStore {
    inner: Arc<dyn BackupStore>,
    written: Mutex<BTreeMap<String, Written>>,
}

impl DryRunStore {
    pub(crate) fn new(inner: Arc<dyn BackupStore>) -> Self {
        Self { inner, written: Mutex::default() }
    }

    fn written(&self) -> MutexGuard<'_, BTreeMap<String, Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, key: &str) -> Option<Written> {
        self.written().get(key).cloned()
    }

    fn keep(&self, key: &str, size: u64, content: Option<Bytes>) {
        let meta = ObjectMeta::new(key, size).modified(SystemTime::now());
        self.written().insert(key.to_owned(), Some((meta, content)));
    }

    async fn is_new(&self, key: &str) -> Result<bool> {
        check_key(key)?;
        Ok(self.head(key).await?.is_none())
    }
}

#[async_trait]
impl BackupStore for DryRunStore {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn key_prefix(&self) -> String {
        self.inner.key_prefix()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        check_key(key)?;
        self.keep(key, content.len() as u64, (content.len() <= KEPT).then(|| content.clone()));
        Ok(())
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        let is_new = self.is_new(key).await?;
        if is_new {
            self.put(key, content).await?;
        }
        Ok(is_new)
    }

    async fn put_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        let is_new = self.is_new(key).await?;
        if is_new {
            let size = std::fs::metadata(file).map_err(|e| Error::io(file, e))?.len();
            self.keep(key, size, None);
        }
        Ok(is_new)
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        match self.of(key) {
            None => self.inner.get(key).await,
            Some(Some((_, Some(content)))) => Ok(content),
            Some(_) => Err(missing(&self.url(), key)),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        match self.of(key) {
            None => self.inner.get_range(key, range).await,
            Some(_) => {
                let content = self.get(key).await?;
                let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(content.len());
                let (start, end) = (at(range.start), at(range.end));
                Ok(content.slice(start..end.max(start)))
            }
        }
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        match self.of(key) {
            None => self.inner.head(key).await,
            Some(written) => Ok(written.map(|(meta, _)| meta)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let mut found = self.inner.list(prefix).await?;
        let written = self.written();
        found.retain(|o| !written.contains_key(&o.key));
        let ours = written.values().flatten().map(|(meta, _)| meta.clone());
        found.extend(ours.filter(|o| o.key.starts_with(prefix)));
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        check_key(key)?;
        self.written().insert(key.to_owned(), None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn what_is_written_is_seen_here_and_nowhere_else() {
        let inner: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
        inner.put("a/old", &Bytes::from_static(b"old")).await.unwrap();
        let dry = DryRunStore::new(inner.clone());
        assert!(!dry.put_new("a/old", &Bytes::new()).await.unwrap());
        assert!(dry.put_new("a/new", &Bytes::from_static(b"new")).await.unwrap());
        assert!(!dry.put_new("a/new", &Bytes::new()).await.unwrap());
        assert_eq!(dry.get("a/new").await.unwrap(), "new");
        assert_eq!(dry.get_range("a/new", 1..9).await.unwrap(), "ew");
        dry.delete("a/old").await.unwrap();
        assert!(dry.get("a/old").await.is_err());
        assert_eq!(dry.list("a/").await.unwrap().len(), 1);
        let kept: Vec<_> = inner.list("").await.unwrap().into_iter().map(|o| o.key).collect();
        assert_eq!(kept, ["a/old"]);
    }

    #[tokio::test]
    async fn of_a_large_object_only_the_size_is_kept() {
        let dry = DryRunStore::new(Arc::new(MemoryStore::new()));
        let large = Bytes::from(vec![0; KEPT + 1]);
        dry.put("large", &large).await.unwrap();
        assert_eq!(dry.head("large").await.unwrap().map(|o| o.size), Some(large.len() as u64));
        assert!(dry.put("../x", &large).await.is_err());
    }
}
