//! The folders and files to back up.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Progress, Result};

use super::BackupRequest;
use super::source::Feed;
use crate::codes;
use crate::files::path_bytes;
use crate::format::manifest::order::in_order;
use crate::format::manifest::{HeaderSource, Kind};

/// The sources of a backup.
pub(super) struct Sources {
    /// The sources with their types, in the order of the walk. Sources inside of another one are left out.
    pub(super) found: Vec<HeaderSource>,
    /// The number of requested sources that are missing.
    pub(super) missing: u64,
}

impl Sources {
    /// Finds the folders and files of a request.
    ///
    /// # Errors
    /// `source-missing` when none exists; `source-invalid`.
    pub(super) fn find(request: &BackupRequest, progress: &Progress) -> Result<Self> {
        let mut found: Vec<HeaderSource> = Vec::new();
        let (mut first_failure, mut missing) = (None, 0);
        for source in &request.sources {
            let invalid = |why: &str| {
                let text = format!("{:?} {why}", source.path);
                Error::new(&codes::SOURCE_INVALID, text)
            };
            if !source.path.is_absolute()
                || source.path.components().any(|c| c == std::path::Component::ParentDir)
            {
                return Err(invalid("is not an absolute path"));
            }
            // Normalizes the path: no trailing slash, no repeated slashes.
            let path: PathBuf = source.path.components().collect();
            if path.to_str().is_none() {
                return Err(invalid("is not UTF-8").with_hint("back up the folder that it is in"));
            }
            let kind = match kind_of(&path) {
                Ok(Some(kind)) => kind,
                Ok(None) => {
                    progress.note(format!("{} is a socket and is left out", path.display()));
                    continue;
                }
                Err(e) => {
                    progress.warn(format!("{} is left out: {e}", path.display()));
                    missing += 1;
                    first_failure.get_or_insert((path, e));
                    continue;
                }
            };
            found.push(HeaderSource { name: source.name.clone(), path, kind });
        }
        if let (true, Some((path, e))) = (found.is_empty(), first_failure) {
            return Err(Error::new(&codes::SOURCE_MISSING, format!("{}: {e}", path.display())));
        }
        if found.is_empty() {
            return Err(Error::new(&codes::SOURCE_INVALID, "there is nothing to back up"));
        }
        found.sort_by(|a, b| in_order(path_bytes(&a.path), path_bytes(&b.path)));
        Ok(Self { found, missing })
    }

    /// Returns the sources of a feed, which replaces the folders of a request.
    ///
    /// # Errors
    /// `source-invalid` when the request names folders.
    pub(super) fn of_feed(feed: &dyn Feed, request: &BackupRequest) -> Result<Self> {
        if request.sources.is_empty() {
            return Ok(Self { found: feed.sources(), missing: 0 });
        }
        let text = "the backup of a stream has no folders beside it";
        Err(Error::new(&codes::SOURCE_INVALID, text))
    }

    pub(super) fn paths(&self) -> Vec<&Path> {
        self.found.iter().map(|s| s.path.as_path()).collect()
    }
}

/// Returns the kind of a source. A link to a folder or to a file is followed; a link to anything else, or a
/// broken one, is backed up itself. Returns `None` for a socket, which only a running program can create.
fn kind_of(path: &Path) -> std::io::Result<Option<Kind>> {
    let itself = std::fs::symlink_metadata(path)?.file_type();
    let kind = match std::fs::metadata(path).map(|m| m.file_type()) {
        Ok(followed) if followed.is_dir() => Kind::Dir,
        Ok(followed) if followed.is_file() => Kind::File,
        _ if itself.is_symlink() => Kind::Symlink,
        _ if itself.is_fifo() => Kind::Fifo,
        _ if itself.is_block_device() => Kind::Block,
        _ if itself.is_char_device() => Kind::Char,
        _ => return Ok(None),
    };
    Ok(Some(kind))
}
