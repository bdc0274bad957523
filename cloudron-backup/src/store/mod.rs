//! Where the objects of a repository live.

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

/// What a store knows of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its key: parts separated by `/`.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written, where the store tells.
    pub modified: Option<SystemTime>,
    /// Whether it is in an archive, and cannot be read before [`BackupStore::thaw`] was asked for it.
    pub archived: bool,
}

impl ObjectMeta {
    /// An object that can be read, of which the store does not tell when it was written.
    pub fn new(key: impl Into<String>, size: u64) -> Self {
        Self { key: key.into(), size, modified: None, archived: false }
    }

    /// The same, written at this time.
    pub fn modified(self, modified: impl Into<Option<SystemTime>>) -> Self {
        Self { modified: modified.into(), ..self }
    }
}

/// A flat set of named objects, as an object store or a folder has.
///
/// What a repository relies on, and what the `conformance` feature checks: a write is seen whole or not at
/// all, under any failure; when a write has returned, the object survives a power cut and is seen by every
/// later read and list; of several [`put_new`](Self::put_new) of one key at the same time, exactly one
/// returns true.
#[async_trait]
pub trait BackupStore: Send + Sync + Debug {
    /// The address, as [`open_store`] takes it, without secrets.
    fn url(&self) -> String;

    /// Writes an object, in place of an older one.
    ///
    /// # Errors
    /// `store-key` for a key that is not allowed, `no-space`, and what else the store reports.
    async fn put(&self, key: &str, content: &Bytes) -> Result<()>;

    /// Writes an object unless there is one of that key. False when there is.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool>;

    /// The same with the content of a file, which may be too large for memory. The default reads it.
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

    /// The content of an object.
    ///
    /// # Errors
    /// `object-missing` when there is none.
    async fn get(&self, key: &str) -> Result<Bytes>;

    /// A part of an object, in bytes from its start. A range that ends behind the end gives what there is.
    ///
    /// # Errors
    /// `object-missing` when there is no such object.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes>;

    /// What the store knows of an object, or nothing when there is none.
    ///
    /// # Errors
    /// What the store reports.
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>>;

    /// All objects whose key starts with the prefix, sorted by key.
    ///
    /// # Errors
    /// What the store reports.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>>;

    /// Deletes an object. It is fine when there is none.
    ///
    /// # Errors
    /// What the store reports.
    async fn delete(&self, key: &str) -> Result<()>;

    /// What stands before every key where the store's own rules name keys: empty, or ending in `/`.
    fn key_prefix(&self) -> String {
        String::new()
    }

    /// How the store protects objects and what it does with them by itself. By default, nothing.
    ///
    /// # Errors
    /// What the store reports. What it does not tell is unknown, not an error.
    async fn rules(&self) -> Result<StoreRules> {
        Ok(StoreRules::default())
    }

    /// Only the part of [`rules`](Self::rules) that says what is deleted or moved by age. By default, nothing.
    ///
    /// # Errors
    /// As [`rules`](Self::rules).
    async fn lifecycle(&self) -> Result<Known<Lifecycle>> {
        Ok(Known::Is(Lifecycle::default()))
    }

    /// Replaces all rules about age. By default, there are none to be set.
    ///
    /// # Errors
    /// `store-option` for a store that has no such rules; what the store reports.
    async fn set_lifecycle(&self, lifecycle: &Lifecycle) -> Result<()> {
        let _ = lifecycle;
        rules::no_lifecycle(&self.url())
    }

    /// Asks for an archived object, so that it can be read for so many days. May be asked again to see whether
    /// it is there. By default, every object can be read.
    ///
    /// # Errors
    /// `object-missing` when there is no such object; what the store reports.
    async fn thaw(&self, key: &str, days: u32) -> Result<Thaw> {
        let _ = (key, days);
        Ok(Thaw::Ready)
    }
}

/// Checks that a key is one that every store can hold and that stays inside of it.
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

/// The error for an object that is not there.
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
