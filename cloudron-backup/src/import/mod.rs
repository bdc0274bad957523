//! Backups of the original Cloudron: parses their names, decrypts them, and imports them into a repository
//! with [`Repository::import`](crate::Repository::import).
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

mod archive;
mod cipher;
mod input;
mod name;
mod request;
mod small_files;
pub(crate) mod tar;

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use cloudron_core::{Error, Result};

pub use name::OldBackup;
pub use request::ImportRequest;

use crate::backup::BackupRequest;
use crate::backup::source::Feed;
use crate::codes;
use crate::import::archive::{ArchiveFeed, Extra};

/// Returns the backup request for an import, and the feed of its entries.
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
    Ok((backup, Box::new(feed)))
}

/// Returns the tar in the file of an old backup.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn unwrapped(
    file: Box<dyn Read + Send>,
    key: Option<cloudron_core::Secret>,
) -> Box<dyn Read + Send> {
    input::Lazy::boxed(file, key)
}

/// Checks that a path is absolute, made of plain names, and not the root.
fn absolute(target: &Path) -> Result<PathBuf> {
    let path: PathBuf = target.components().collect();
    let plain = target.is_absolute() && path.components().skip(1).all(|c| matches!(c, Component::Normal(_)));
    if !plain || path.parent().is_none() || path.to_str().is_none() {
        let text = format!("{} is not an absolute path in UTF-8 below the root", target.display());
        return Err(Error::new(&codes::SOURCE_INVALID, text));
    }
    Ok(path)
}
