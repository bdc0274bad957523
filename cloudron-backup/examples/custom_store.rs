#![allow(clippy::print_stderr, reason = "a program prints")]
//! A custom store: all objects in a single file.
//!
//! The file is a log of records, each synced before the call returns: a key, and the content or a deletion.
//! The last record of a key wins; a record truncated by a crash is dropped. The example runs the conformance
//! checks for stores, then backs a folder up into the file, opens the file again, and restores.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::store::{check_key, missing};
use cloudron_backup::{
    BackupRequest, BackupStore, InitOptions, ObjectMeta, Repository, RestoreRequest, Result, Source,
};
use cloudron_core::{BackupId, Cancel, Error, Progress, Secret, Version};

/// The content length of a record that deletes its object.
const DELETED: u64 = u64::MAX;
/// The header of a record: the lengths of key and content, and seconds since 1970.
const HEAD: usize = 8 + 8 + 8;

#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    size: u64,
    modified: SystemTime,
}

#[derive(Debug)]
struct Log {
    file: File,
    end: u64,
    objects: BTreeMap<String, Place>,
}

/// All objects of a repository in one file. One process uses it at a time.
#[derive(Debug, Clone)]
struct OneFile {
    path: PathBuf,
    log: Arc<Mutex<Log>>,
}

impl OneFile {
    fn open(path: &Path) -> Result<Self> {
        let named = |e| Error::io(path, e);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(named)?;
        let mut log = Log { file, end: 0, objects: BTreeMap::new() };
        log.load().map_err(named)?;
        Ok(Self { path: path.to_owned(), log: Arc::new(Mutex::new(log)) })
    }

    /// Runs blocking work with the log outside of the async threads.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Log) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (log, path) = (self.log.clone(), self.path.clone());
        let done = tokio::task::spawn_blocking(move || {
            work(&mut log.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.map_err(std::io::Error::other).flatten().map_err(|e| Error::io(path, e))
    }

    fn find(&self, key: &str) -> Option<Place> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).objects.get(key).copied()
    }
}

impl Log {
    /// Reads the records up to the first incomplete one, and truncates the file there.
    fn load(&mut self) -> std::io::Result<()> {
        let length = self.file.metadata()?.len();
        while let Some(next) = self.record(length)? {
            self.end = next;
        }
        self.file.set_len(self.end)
    }

    fn record(&mut self, length: u64) -> std::io::Result<Option<u64>> {
        let mut head = [0; HEAD];
        if length - self.end < HEAD as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, self.end)?;
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap_or_default());
        let (key_size, size, seconds) = (number(0), number(8), number(16));
        let stored = if size == DELETED { 0 } else { size };
        let offset = self.end.saturating_add(HEAD as u64).saturating_add(key_size);
        let next = offset.saturating_add(stored);
        if next > length {
            return Ok(None);
        }
        let mut key = String::new();
        let start = self.end + HEAD as u64;
        let reader = ReadAt { file: &self.file, at: start };
        reader.take(key_size).read_to_string(&mut key)?;
        let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        match size {
            DELETED => drop(self.objects.remove(&key)),
            size => drop(self.objects.insert(key, Place { offset, size, modified })),
        }
        Ok(Some(next))
    }

    /// Adds a record. The state in memory changes only after it is on disk.
    fn append(&mut self, key: &str, content: Option<&Bytes>) -> std::io::Result<()> {
        let modified = SystemTime::now();
        let seconds = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let size = content.map_or(DELETED, |c| c.len() as u64);
        let mut record = Vec::with_capacity(HEAD + key.len() + content.map_or(0, Bytes::len));
        for number in [key.len() as u64, size, seconds] {
            record.extend_from_slice(&number.to_le_bytes());
        }
        record.extend_from_slice(key.as_bytes());
        record.extend_from_slice(content.map_or(&[], |c| &c[..]));
        self.file.write_all_at(&record, self.end)?;
        self.file.sync_data()?;
        let offset = self.end + (HEAD + key.len()) as u64;
        self.end += record.len() as u64;
        match content {
            Some(_) => self.objects.insert(key.to_owned(), Place { offset, size, modified }),
            None => self.objects.remove(key),
        };
        Ok(())
    }
}

struct ReadAt<'a> {
    file: &'a File,
    at: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

#[async_trait]
impl BackupStore for OneFile {
    fn url(&self) -> String {
        format!("onefile://{}", self.path.display())
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        check_key(key)?;
        let (key, content) = (key.to_owned(), content.clone());
        self.with(move |log| log.append(&key, Some(&content))).await
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        check_key(key)?;
        let (key, content) = (key.to_owned(), content.clone());
        // Check and write happen under one lock, so no other writer can come between them.
        self.with(move |log| match log.objects.contains_key(&key) {
            true => Ok(false),
            false => log.append(&key, Some(&content)).map(|()| true),
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        self.get_range(key, 0..u64::MAX).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let place = self.find(key).ok_or_else(|| missing(&self.url(), key))?;
        let (start, end) = (range.start.min(place.size), range.end.min(place.size));
        self.with(move |log| {
            let mut content = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
            log.file.read_exact_at(&mut content, place.offset + start)?;
            Ok(Bytes::from(content))
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        Ok(self.find(key).map(|place| meta(key, &place)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let found = log.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, place)| meta(key, place)).collect())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        check_key(key)?;
        let key = key.to_owned();
        self.with(move |log| match log.objects.contains_key(&key) {
            true => log.append(&key, None),
            false => Ok(()),
        })
        .await
    }
}

fn meta(key: &str, place: &Place) -> ObjectMeta {
    ObjectMeta::new(key, place.size).modified(place.modified)
}

#[tokio::main]
pub(crate) async fn main() -> Result<()> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("(temporary folder)", e))?;
    let (folder, target, file) = (dir.path().join("folder"), dir.path().join("back"), dir.path().join("log"));
    std::fs::create_dir(&folder).map_err(|e| Error::io(&folder, e))?;
    std::fs::write(folder.join("note"), "remember").map_err(|e| Error::io(&folder, e))?;

    // The checks are in the feature `conformance`; a store's own tests call them in this way.
    #[cfg(feature = "conformance")]
    cloudron_backup::conformance::check(Arc::new(OneFile::open(&dir.path().join("checked"))?)).await;

    let backup_key = Secret::new("correct horse battery staple");
    // Work factor 2 is for examples only: leave it out for a real backup key.
    let options = InitOptions { work_factor: Some(2) };
    let store = Arc::new(OneFile::open(&file)?);
    let (repository, identity) = Repository::init(store, &backup_key, options).await?;
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let id = BackupId::new(std::time::SystemTime::now(), &Version::current());
    let request = BackupRequest::new(id.clone(), vec![Source::new("folder", &folder)]);
    repository.backup(&identity.writer_keys(), request, &progress, &cancel).await?;
    drop(repository);

    // A crash in the middle of a record does not affect earlier ones.
    let log = File::options().append(true).open(&file).map_err(|e| Error::io(&file, e))?;
    log.write_all_at(&[1, 2, 3], log.metadata().map_or(0, |m| m.len())).map_err(|e| Error::io(&file, e))?;

    let repository = Repository::open(Arc::new(OneFile::open(&file)?)).await?;
    let identity = repository.unlock(&backup_key).await?;
    let request = RestoreRequest::under(&target);
    let restored = repository.restore(&identity, &id, &request, &progress, &cancel).await?.complete()?;
    let compared = repository.compare(&identity, &id, &request, &progress, &cancel).await?.identical()?;
    eprintln!("{} files restored, {} entries compared: identical", restored.files, compared.entries);
    Ok(())
}
