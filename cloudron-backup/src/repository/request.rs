//! What is asked of a repository.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloudron_core::BackupId;

use super::Origin;
use super::plan::ReadHook;

/// How a repository is made.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// The logarithm of scrypt's N by which the backup key is stretched. By default 18, about a second. For
    /// a key that [`generate_backup_key`](crate::generate_backup_key) just made, which nobody can guess,
    /// [`GENERATED_WORK_FACTOR`](crate::keys::GENERATED_WORK_FACTOR) will do.
    pub work_factor: Option<u8>,
}

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
    /// Further folders of the program's own, that must not be in the backup.
    pub(crate) also_skip: Vec<PathBuf>,
    /// Where it comes from, if it is not made of what is on this machine.
    pub(crate) origin: Option<Origin>,
    /// Told of every file that is read.
    pub(crate) on_read: Option<ReadHook>,
}

impl BackupRequest {
    /// A backup of these folders, with nothing left out and no cache.
    pub fn new(id: BackupId, sources: Vec<Source>) -> Self {
        let (host, fqdn) = (String::new(), String::new());
        let (tags, excludes, also_skip) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            id,
            sources,
            host,
            fqdn,
            tags,
            excludes,
            cache_dir: None,
            also_skip,
            origin: None,
            on_read: None,
        }
    }

    /// The same, with the folder for the cache.
    pub fn with_cache_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { cache_dir: Some(dir.into()), ..self }
    }
}

/// Where a restore goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTo {
    /// Each folder where it was.
    Original,
    /// Everything below this folder, by its full path.
    Under(PathBuf),
}

/// What is restored, and where to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RestoreRequest {
    /// Where it goes.
    pub to: RestoreTo,
    /// Folders that go elsewhere than they were: (old path, new path). The first that fits is taken. It
    /// comes before [`to`](Self::to) is applied.
    pub relocate: Vec<(PathBuf, PathBuf)>,
    /// Only these paths of the backup and what is below them. Empty for everything.
    pub only: Vec<PathBuf>,
    /// Folders above [`only`](Self::only) that are compared as well: those that a restore made, as
    /// [`RestoreReport::parents`](super::RestoreReport::parents) has them.
    pub parents: Vec<PathBuf>,
    /// Whether existing files that differ are replaced.
    pub overwrite: bool,
    /// Owners by number only. Otherwise by name where the machine knows the name.
    pub numeric_owner: bool,
    /// For how many days objects that are in an archive can be read once they were asked for.
    pub thaw_days: u32,
    /// How long to wait for such objects. With none, the restore ends with `object-archived` once it asked for
    /// all that it needs, and goes on when it is run again.
    pub thaw_wait: Option<Duration>,
}

impl RestoreRequest {
    /// Everything to where it was.
    pub fn original() -> Self {
        Self {
            to: RestoreTo::Original,
            relocate: Vec::new(),
            only: Vec::new(),
            parents: Vec::new(),
            overwrite: false,
            numeric_owner: false,
            thaw_days: 7,
            thaw_wait: None,
        }
    }

    /// Everything below a folder.
    pub fn under(dir: impl AsRef<Path>) -> Self {
        Self { to: RestoreTo::Under(dir.as_ref().to_owned()), ..Self::original() }
    }
}
