//! Backup requests.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_core::{BackupId, Result};

use crate::files::absolute_path;

/// A folder or file to back up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name in lists.
    pub name: String,
    /// An absolute path in UTF-8 to a folder or a file. If it is a symbolic link, the link is followed.
    pub path: PathBuf,
}

impl Source {
    /// Creates a source.
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

/// The options of a backup.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupRequest {
    /// The name of the backup, which must be new.
    pub id: BackupId,
    /// The folders and files to back up.
    pub sources: Vec<Source>,
    /// The machine's name, in clear text in the list. May be empty.
    pub host: String,
    /// The domain that the machine serves, in clear text in the list. May be empty.
    pub fqdn: String,
    /// Tags for filtering, in clear text in the list: at most 32, each of at most 64 printable characters
    /// without a comma.
    pub tags: Vec<String>,
    /// Exclude patterns with `*` (anything in a name), `?` (one character of it) and `**` (anything). A
    /// pattern that starts with `/` is compared with whole paths, one with another `/` in it with the ends of
    /// paths, and any other with names. The content of an excluded folder is excluded too. Paths in
    /// [`sources`](Self::sources) are never excluded.
    pub excludes: Vec<String>,
    /// A folder of the caller for the cache, which makes the next backup fast. It contains a list of the
    /// files in clear text, mode 0600. Losing it costs time only.
    pub cache_dir: Option<PathBuf>,
}

impl BackupRequest {
    /// Creates a request for these folders, without patterns or a cache.
    pub fn new(id: BackupId, sources: Vec<Source>) -> Self {
        let (host, fqdn) = (String::new(), String::new());
        let (tags, excludes) = (Vec::new(), Vec::new());
        Self { id, sources, host, fqdn, tags, excludes, cache_dir: None }
    }

    /// Sets the folder for the cache.
    pub fn with_cache_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { cache_dir: Some(dir.into()), ..self }
    }
}

/// A callback for every file that a backup reads.
#[derive(Clone)]
pub(super) struct ReadHook(Arc<OnRead>);

type OnRead = dyn Fn(&Path, u64) + Send + Sync;

impl ReadHook {
    pub(super) fn new(hook: impl Fn(&Path, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// Reports that a file of this size, in bytes, was read.
    pub(super) fn read(&self, path: &Path, size: u64) {
        (self.0)(path, size);
    }
}

impl fmt::Debug for ReadHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadHook(…)")
    }
}
