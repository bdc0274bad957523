//! A store in a folder.

mod claim;
mod folder;
mod read;
mod write;

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::{Error, Result};

use crate::codes;
use crate::files::temporary;
use crate::runtime::blocking;
use crate::store::{BackupStore, ObjectMeta, check_key, missing};
use write::{Existing, Payload};

/// A store in a folder: an object is a file, its key the path below the folder. Files have mode 0600 and
/// folders 0700; in a folder with the set-group-id bit they are shared with its group, with the permissions
/// of that folder. Files that root writes into the folder of another user belong to that user. The first
/// write creates the folder.
#[derive(Debug, Clone)]
pub struct FsStore {
    root: PathBuf,
    /// The folders already searched for temporary files of dead processes.
    swept: Arc<Mutex<HashSet<PathBuf>>>,
}

impl FsStore {
    /// Creates a store in a folder. A relative path is resolved against the current folder of the process.
    ///
    /// # Errors
    /// When the current folder is needed and cannot be determined.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let root = std::path::absolute(&root).map_err(|e| Error::io(&root, e))?;
        Ok(Self { root, swept: Arc::default() })
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn file(&self, key: &str) -> Result<PathBuf> {
        check_key(key)?;
        Ok(self.root.join(key))
    }

    async fn write(&self, key: &str, payload: Payload, existing: Existing) -> Result<bool> {
        let (root, file) = (self.root.clone(), self.file(key)?);
        let folder = file.parent().unwrap_or(&root).to_owned();
        let is_new = self.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.clone());
        blocking(move || {
            if is_new {
                temporary::sweep(&folder);
            }
            write::write(&root, &file, &payload, existing)
        })
        .await
    }

    fn no_folder(&self) -> Error {
        let text = format!("{} is not a folder", self.root.display());
        Error::new(&codes::STORE_URL, text).with_hint("give the path of a folder for the store")
    }

    fn not_found(&self, key: &str, file: &Path, error: std::io::Error) -> Error {
        match error.kind() {
            std::io::ErrorKind::NotFound => missing(&self.url(), key),
            std::io::ErrorKind::NotADirectory => self.no_folder(),
            std::io::ErrorKind::InvalidData => {
                Error::new(&codes::OBJECT_CORRUPT, format!("{}: {error}", file.display()))
            }
            _ => Error::io(file, error),
        }
    }
}

#[async_trait]
impl BackupStore for FsStore {
    fn url(&self) -> String {
        format!("file://{}", self.root.display())
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.write(key, Payload::Memory(content.clone()), Existing::Replace).await.map(drop)
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.write(key, Payload::Memory(content.clone()), Existing::Keep).await
    }

    async fn put_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        self.write(key, Payload::File(file.to_owned()), Existing::Keep).await
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        let (this, file, key) = (self.clone(), self.file(key)?, key.to_owned());
        blocking(move || match read::whole(&file) {
            Ok(content) => Ok(content.into()),
            Err(e) => Err(this.not_found(&key, &file, e)),
        })
        .await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let (this, file, key) = (self.clone(), self.file(key)?, key.to_owned());
        blocking(move || match read::range(&file, range) {
            Ok(content) => Ok(content.into()),
            Err(e) => Err(this.not_found(&key, &file, e)),
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        let (this, file, key) = (self.clone(), self.file(key)?, key.to_owned());
        blocking(move || match std::fs::metadata(&file) {
            Ok(m) if m.is_file() => Ok(Some(ObjectMeta::new(key, m.len()).modified(m.modified().ok()))),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(this.not_found(&key, &file, e)),
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        blocking(move || {
            let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
            if !folder.is_empty() {
                check_key(folder)?;
            }
            let mut found = Vec::new();
            collect(&root, folder, &prefix, &mut found)?;
            found.sort_by(|a, b| a.key.cmp(&b.key));
            Ok(found)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let file = self.file(key)?;
        blocking(move || match std::fs::remove_file(&file) {
            Ok(()) => write::sync_parent(&file),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io(&file, e)),
        })
        .await
    }
}

/// Adds the objects below a folder of the store, and removes temporary files of dead processes.
fn collect(root: &Path, folder: &str, prefix: &str, found: &mut Vec<ObjectMeta>) -> Result<()> {
    let path = root.join(folder);
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(&path, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(&path, e))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io(entry.path(), e)),
        };
        if temporary::is_temporary(&name) {
            temporary::remove_dead(&entry.path(), meta.modified().ok());
            continue;
        }
        let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if check_key(&key).is_err() {
            continue;
        }
        if meta.is_dir() && (key.starts_with(prefix) || prefix.starts_with(&format!("{key}/"))) {
            collect(root, &key, prefix, found)?;
        } else if meta.is_file() && key.starts_with(prefix) {
            found.push(ObjectMeta::new(key, meta.len()).modified(meta.modified().ok()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn it_conforms() {
        let dir = tempfile::tempdir().unwrap();
        crate::store::conformance::check(Arc::new(FsStore::new(dir.path().join("store")).unwrap())).await;
    }

    #[tokio::test]
    async fn objects_are_private_to_their_owner() {
        let dir = tempfile::tempdir().unwrap();
        let store = FsStore::new(dir.path().join("new/store")).unwrap();
        store.put("a/b", &Bytes::from_static(b"x")).await.unwrap();
        let mode = |p: &str| std::fs::metadata(store.root().join(p)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a/b"), mode("a"), mode("")), (0o600, 0o700, 0o700));
    }

    #[tokio::test]
    async fn leftovers_of_dead_runs_are_not_listed_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = FsStore::new(dir.path()).unwrap();
        let (dead, file) = temporary::create(dir.path()).unwrap();
        drop(file);
        let (live, _file) = temporary::create(dir.path()).unwrap();
        assert!(store.list("").await.unwrap().is_empty());
        assert!(!dead.exists() && live.exists());
    }

    #[tokio::test]
    async fn a_pipe_in_the_place_of_an_object_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = FsStore::new(dir.path()).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, 0o600.into());
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("cloudron-backup.json"), kind, mode, 0).unwrap();
        let key = "cloudron-backup.json";
        for error in [store.get(key).await.unwrap_err(), store.get_range(key, 0..9).await.unwrap_err()] {
            assert!(error.is(&codes::OBJECT_CORRUPT), "{error:?}");
        }
        assert!(store.head(key).await.unwrap().is_none() && store.list("").await.unwrap().is_empty());
    }
}
