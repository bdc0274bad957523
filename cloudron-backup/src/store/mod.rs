//! Stores for the objects of a repository.

mod address;
pub(crate) mod blocking;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod fs;
pub mod lifecycle;
pub mod memory;
mod open;
mod options;
mod read;
pub(crate) mod requirements;
pub(crate) mod rules;
#[cfg(feature = "s3")]
mod s3;
mod traced;

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::{Error, Result};

pub use open::{absolute_url, open_store, open_store_with};
pub use options::{ConditionalWrites, ServerSideEncryption, StoreOptions};
pub(crate) use read::{get_all, get_at_most};
pub use rules::{Known, ObjectLock, StoreRules, Thaw};

use crate::codes;
use crate::store::lifecycle::Lifecycle;

/// Metadata of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key: parts separated by `/`.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
    /// Time of the last write, if the store reports it.
    pub modified: Option<SystemTime>,
    /// True if the object is archived and cannot be read before [`BackupStore::thaw`].
    pub archived: bool,
}

impl ObjectMeta {
    /// Creates the metadata of a readable object without a time of the last write.
    pub fn new(key: impl Into<String>, size: u64) -> Self {
        Self { key: key.into(), size, modified: None, archived: false }
    }

    /// Sets the time of the last write.
    pub fn modified(self, modified: impl Into<Option<SystemTime>>) -> Self {
        Self { modified: modified.into(), ..self }
    }
}

/// A flat set of named objects, as an object store or a folder has.
///
/// The guarantees that a repository relies on, checked by the `conformance` feature: a write is seen whole or
/// not at all, under any failure; after a write has returned, the object survives a power failure and is seen
/// by every later read and list; of several concurrent [`put_new`](Self::put_new) of one key, exactly one
/// returns true.
#[async_trait]
pub trait BackupStore: Send + Sync + Debug {
    /// Returns the address, as [`open_store`] takes it, without secrets.
    fn url(&self) -> String;

    /// Writes an object and replaces an existing one.
    ///
    /// # Errors
    /// `store-key` for a key that is not allowed, `no-space`, and other errors of the store.
    async fn put(&self, key: &str, content: &Bytes) -> Result<()>;

    /// Writes an object unless its key exists. Returns false if it exists.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool>;

    /// Writes an object with the content of a file, unless its key exists. The file may be too large for
    /// memory; the default implementation reads it whole.
    ///
    /// # Errors
    /// As [`put`](Self::put), or when the file cannot be read.
    async fn put_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        let path = file.to_owned();
        let content = crate::runtime::blocking(move || {
            std::fs::read(&path).map(Bytes::from).map_err(|e| Error::io(&path, e))
        })
        .await?;
        self.put_new(key, &content).await
    }

    /// Returns the content of an object.
    ///
    /// # Errors
    /// `object-missing` when there is none.
    async fn get(&self, key: &str) -> Result<Bytes>;

    /// Returns a range of bytes of an object. A range that exceeds the object is cut at its end.
    ///
    /// # Errors
    /// `object-missing` when there is no such object.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes>;

    /// Returns the metadata of an object, or `None` if it does not exist.
    ///
    /// # Errors
    /// Errors of the store.
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>>;

    /// Lists all objects whose key starts with the prefix, sorted by key.
    ///
    /// # Errors
    /// Errors of the store.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>>;

    /// Deletes an object. Succeeds if it does not exist.
    ///
    /// # Errors
    /// Errors of the store.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Returns the prefix of all keys in the store's own rules: empty, or ending in `/`.
    fn key_prefix(&self) -> String {
        String::new()
    }

    /// Returns how the store protects objects, and its automatic rules. Default: none.
    ///
    /// # Errors
    /// Errors of the store. A fact that the store does not report is [`Known::Unknown`], not an error.
    async fn rules(&self) -> Result<StoreRules> {
        Ok(StoreRules::default())
    }

    /// Returns only the lifecycle part of [`rules`](Self::rules): deletion and transitions by age. Default: none.
    ///
    /// # Errors
    /// As [`rules`](Self::rules).
    async fn lifecycle(&self) -> Result<Known<Lifecycle>> {
        Ok(Known::Is(Lifecycle::default()))
    }

    /// Replaces all lifecycle rules. The default implementation fails.
    ///
    /// # Errors
    /// `store-option` for a store without such rules; errors of the store.
    async fn set_lifecycle(&self, lifecycle: &Lifecycle) -> Result<()> {
        let _ = lifecycle;
        rules::no_lifecycle(&self.url())
    }

    /// Requests an archived object, so that it can be read for `days` days. A repeated call returns the
    /// current state. Default: every object can be read.
    ///
    /// # Errors
    /// `object-missing` when there is no such object; errors of the store.
    async fn thaw(&self, key: &str, days: u32) -> Result<Thaw> {
        let _ = (key, days);
        Ok(Thaw::Ready)
    }
}

/// Checks that a key is valid in every store and cannot leave the store.
///
/// # Errors
/// `store-key`.
pub fn check_key(key: &str) -> Result<()> {
    let part_ok = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b))
    };
    if key.len() <= 512 && key.split('/').all(part_ok) {
        return Ok(());
    }
    Err(Error::new(&codes::STORE_KEY, format!("{key:?} is not a name for an object")))
}

/// Returns the error for a missing object.
pub fn missing(url: &str, key: &str) -> Error {
    Error::new(&codes::OBJECT_MISSING, format!("{key} is not in {url}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_leave_the_store_are_refused() {
        for key in ["", "/", "a//b", "../x", "a/../b", ".hidden", "a/.tmp", "a b", "a\\b", "a/", "ä"] {
            assert!(check_key(key).unwrap_err().is(&codes::STORE_KEY), "{key}");
        }
        assert!(check_key("snapshots/backup_2026-01-02T03-04-05Z_v1.0.0-rc.1+7.json").is_ok());
    }
}
