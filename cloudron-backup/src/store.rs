//! Where the objects of a repository live.

mod address;
mod options;
pub(crate) mod rules;
mod traced;

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::{Error, Result};
use tokio::task::JoinSet;

use address::Address;
pub use options::{ConditionalWrites, ServerSideEncryption, StoreOptions};
pub use rules::{Known, ObjectLock, StoreRules, Thaw};

use crate::codes;
use crate::fs::FsStore;
use crate::lifecycle::Lifecycle;

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
        let content = crate::store::blocking(move || {
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

/// The store at an address: a path, `file:///path` or, in a build with S3 support, `s3://bucket/prefix` with the
/// options of [`StoreOptions::from_env`].
///
/// # Errors
/// As [`open_store_with`] and [`StoreOptions::from_env`].
pub fn open_store(url: &str) -> Result<Arc<dyn BackupStore>> {
    let options = match url.starts_with("s3://") {
        true => StoreOptions::from_env()?,
        false => StoreOptions::default(),
    };
    open_store_with(url, &options)
}

/// The store at an address, with what it takes besides. Nothing is asked of the store yet.
///
/// # Errors
/// `store-url` for an address of another kind, `store-option` for options that cannot be used.
pub fn open_store_with(url: &str, options: &StoreOptions) -> Result<Arc<dyn BackupStore>> {
    match Address::parse(url)? {
        Address::Folder(path) => Ok(traced::of(FsStore::new(path)?)),
        Address::Bucket => open_s3(url, options),
    }
}

/// The same address, which means the same in any current folder.
///
/// # Errors
/// As [`open_store_with`]; when the current folder is needed and cannot be told.
pub fn absolute_url(url: &str) -> Result<String> {
    match Address::parse(url)? {
        Address::Folder(path) => {
            let path = std::path::absolute(&path).map_err(|e| Error::io(&path, e))?;
            Ok(path.to_string_lossy().into_owned())
        }
        Address::Bucket => Ok(url.to_owned()),
    }
}

#[cfg(feature = "s3")]
fn open_s3(url: &str, options: &StoreOptions) -> Result<Arc<dyn BackupStore>> {
    Ok(traced::of(crate::s3::S3Store::new(url, options)?))
}

#[cfg(not(feature = "s3"))]
fn open_s3(url: &str, _: &StoreOptions) -> Result<Arc<dyn BackupStore>> {
    Err(Error::new(&codes::STORE_URL, format!("{url}: this build has no S3 support"))
        .with_hint("use a folder, as in file:///var/backups, or a build with the feature `s3`"))
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

/// The content of an object, unless it is larger than any that is written: its size is a claim of whoever wrote it.
///
/// # Errors
/// `object-missing`; `object-corrupt` for one that is too large; what the store reports.
pub(crate) async fn get_at_most(store: &dyn BackupStore, key: &str, most: u64) -> Result<Bytes> {
    let content = store.get_range(key, 0..most + 1).await?;
    if content.len() as u64 <= most {
        return Ok(content);
    }
    Err(Error::new(&codes::OBJECT_CORRUPT, format!("{key} is larger than {most} bytes")))
}

/// So many objects are read at once, since each takes a round trip.
const AT_ONCE: usize = 16;

/// Reads objects that are small, several at once. They come in no order.
pub(crate) async fn get_all<T: Send + 'static>(
    store: &Arc<dyn BackupStore>,
    objects: Vec<T>,
    key: impl Fn(&T) -> &str,
) -> Result<Vec<(T, Result<Bytes>)>> {
    let mut waiting = objects.into_iter();
    let (mut read, mut running) = (Vec::new(), JoinSet::new());
    loop {
        while running.len() < AT_ONCE
            && let Some(object) = waiting.next()
        {
            let (store, key) = (store.clone(), key(&object).to_owned());
            running.spawn(async move { (object, store.get(&key).await) });
        }
        match running.join_next().await {
            None => return Ok(read),
            Some(Ok(done)) => read.push(done),
            Some(Err(e)) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Some(Err(_)) => return Err(shutting_down()),
        }
    }
}

/// Runs blocking work away from the runtime's own threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(shutting_down()),
    }
}

fn shutting_down() -> Error {
    Error::new(&cloudron_core::codes::INTERRUPTED, "the runtime is shutting down")
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

    #[test]
    fn an_address_of_another_kind_says_what_is_possible() {
        #[cfg(not(feature = "s3"))]
        assert!(open_store("s3://bucket/prefix").unwrap_err().to_string().contains("no S3"));
        assert!(open_store("ftp://x").unwrap_err().is(&codes::STORE_URL));
        assert!(open_store("").unwrap_err().is(&codes::STORE_URL));
        assert!(open_store("file://relative").unwrap_err().is(&codes::STORE_URL));
        assert_eq!(open_store("file:///x/y").unwrap().url(), "file:///x/y");
    }
}
