//! What is asked of a repository.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_core::{BackupId, Result};

use crate::files::absolute_path;

/// A folder that is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is called in lists.
    pub name: String,
    /// Where it is: an absolute path in UTF-8 to a folder or a file. A symbolic link here is followed.
    pub path: PathBuf,
}

impl Source {
    /// A source.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: path.into() }
    }

    /// The source at a path of this computer, called by the last name in it.
    ///
    /// # Errors
    /// As [`absolute_path`].
    pub fn at(path: &Path) -> Result<Self> {
        let path = absolute_path(path)?;
        let name = path.file_name().map_or("/".into(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, path })
    }
}

/// What a backup is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupRequest {
    /// Its name, which must be new.
    pub id: BackupId,
    /// The folders.
    pub sources: Vec<Source>,
    /// The machine's name, in clear in the list. Empty to leave it out.
    pub host: String,
    /// The domain that the machine serves, in clear in the list. Empty to leave it out.
    pub fqdn: String,
    /// Marks to find it by, in clear in the list: at most 32, each of at most 64 printable characters
    /// without a comma.
    pub tags: Vec<String>,
    /// What is left out: patterns with `*` (anything in a name), `?` (one character of it) and `**` (anything). One
    /// that starts with `/` is compared with whole paths, one with another `/` in it with the ends of paths, and
    /// another one with names. What is below an excluded folder is left out too. What is named in
    /// [`sources`](Self::sources) is never left out.
    pub excludes: Vec<String>,
    /// A folder of the caller's for what makes the next backup fast. It keeps a listing of the files in
    /// clear, mode 0600. Losing it costs time only.
    pub cache_dir: Option<PathBuf>,
}

impl BackupRequest {
    /// A backup of these folders, with nothing left out and no cache.
    pub fn new(id: BackupId, sources: Vec<Source>) -> Self {
        let (host, fqdn) = (String::new(), String::new());
        let (tags, excludes) = (Vec::new(), Vec::new());
        Self { id, sources, host, fqdn, tags, excludes, cache_dir: None }
    }

    /// The same, with the folder for the cache.
    pub fn with_cache_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { cache_dir: Some(dir.into()), ..self }
    }
}

/// Told of every file that a backup reads.
#[derive(Clone)]
pub(super) struct ReadHook(Arc<OnRead>);

type OnRead = dyn Fn(&Path, u64) + Send + Sync;

impl ReadHook {
    pub(super) fn new(hook: impl Fn(&Path, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// A file of that size, in bytes, was read.
    pub(super) fn read(&self, path: &Path, size: u64) {
        (self.0)(path, size);
    }
}

impl fmt::Debug for ReadHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadHook(…)")
    }
}
