//! Backups that the original Cloudron made: what their names say, how they are encrypted, and how they get into
//! a repository, by [`Repository::import`](crate::Repository::import).
//!
//! ```
//! use cloudron_backup::{ImportRequest, OldBackup};
//! use cloudron_core::Secret;
//!
//! let old = OldBackup::parse("backup_2016-12-01T03:00:00.123Z-v0.94.0.tar.gz")?;
//! let request = ImportRequest::new(&old).with_key(Secret::new("the key of the old server"));
//! assert_eq!(request.id.as_str(), "backup_2016-12-01T03-00-00Z_v0.94.0");
//! # Ok::<(), cloudron_core::Error>(())
//! ```

mod cipher;
mod input;
mod name;

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use cloudron_core::{BackupId, Error, Result, Secret};

pub use name::OldBackup;

use crate::backup::feed::{ArchiveFeed, Extra, Feed};
use crate::codes;
use crate::repository::{BackupRequest, Origin};

/// Where imported trees go, one folder each.
const FOLDER: &str = "/imported";

/// How an old backup is imported.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImportRequest {
    /// What the old backup is called, in messages and as the name of the source.
    pub name: String,
    /// Its name in the repository, which must be new there.
    pub id: BackupId,
    /// The backup key of the server that made it. None when it is not encrypted. Old servers without a key
    /// encrypted with the empty one, which is tried as well.
    pub key: Option<Secret>,
    /// The path that its tree has in the repository: absolute, by default `/imported/<name>`.
    pub target: PathBuf,
    /// The content of the file `<name>.json` that lies beside the backup of an app. It becomes
    /// `<target>.json`.
    pub config: Option<Vec<u8>>,
    /// The machine's name, in clear in the list. Empty to leave it out.
    pub host: String,
    /// The domain that the machine served, in clear in the list. Empty to leave it out.
    pub fqdn: String,
    /// As in [`BackupRequest`].
    pub cache_dir: Option<PathBuf>,
}

impl ImportRequest {
    /// An import under the name that follows from the old one.
    pub fn new(old: &OldBackup) -> Self {
        Self::named(&old.name, old.id.clone())
    }

    /// An import of a file whose name does not tell its time and version. The name is that of the file, without
    /// folders.
    pub fn named(name: &str, id: BackupId) -> Self {
        // What a path cannot hold, or would be read in another way.
        let plain: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
        let plain = if matches!(plain.as_str(), "" | "." | "..") { "backup".to_owned() } else { plain };
        Self {
            target: Path::new(FOLDER).join(&plain),
            name: plain,
            id,
            key: None,
            config: None,
            host: String::new(),
            fqdn: String::new(),
            cache_dir: None,
        }
    }

    /// The same, with the key of the old backup.
    pub fn with_key(self, key: Secret) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// What a backup is made of: the request for it, and the feed of its entries.
pub(crate) fn prepare(
    request: ImportRequest,
    reader: Box<dyn Read + Send>,
) -> Result<(BackupRequest, Box<dyn Feed>)> {
    let ImportRequest { name, id, key, target, config, host, fqdn, cache_dir } = request;
    let target = absolute(&target)?;
    let beside = |content| {
        let mut path = target.clone().into_os_string();
        path.push(".json");
        Extra { path: path.into(), content }
    };
    let extra = config.map(beside);
    let time = jiff::Timestamp::try_from(id.time()).map_or(0, jiff::Timestamp::as_second);
    let feed = ArchiveFeed { name, reader: input::Lazy::boxed(reader, key), time, extra, target };
    let mut backup = BackupRequest::new(id, Vec::new());
    (backup.host, backup.fqdn, backup.cache_dir) = (host, fqdn, cache_dir);
    backup.origin = Some(Origin { repository: String::new(), sequence: 0, writer: None });
    Ok((backup, Box::new(feed)))
}

/// The tar in the file of an old backup.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn unwrapped(file: Box<dyn Read + Send>, key: Option<Secret>) -> Box<dyn Read + Send> {
    input::Lazy::boxed(file, key)
}

/// A path with plain names only, which is below the root.
fn absolute(target: &Path) -> Result<PathBuf> {
    let path: PathBuf = target.components().collect();
    let plain = target.is_absolute() && path.components().skip(1).all(|c| matches!(c, Component::Normal(_)));
    if !plain || path.parent().is_none() || path.to_str().is_none() {
        let text = format!("{} is not an absolute path in UTF-8 below the root", target.display());
        return Err(Error::new(&codes::SOURCE_INVALID, text));
    }
    Ok(path)
}
