//! A folder that looks like the cache of a writer and takes what is written to it, so that the cache stays as
//! it is.

use std::os::unix::fs::symlink;
use std::path::Path;

use cloudron_core::{Error, Result};

use crate::files::private_folder;

/// The stand-in for a cache folder. It goes away when it is dropped.
pub(super) struct OverlayCache(tempfile::TempDir);

impl OverlayCache {
    /// The stand-in for the part of a cache folder that is of one repository. What is only ever read or
    /// replaced as a whole is there as a link.
    pub(super) fn of(cache: Option<&Path>, repository: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cloudron-backup-plan-").tempdir();
        let overlay = Self(folder.map_err(|e| Error::io(std::env::temp_dir(), e))?);
        let Some(cache) = cache.map(|c| c.join(repository)) else { return Ok(overlay) };
        let ours = overlay.path().join(repository);
        private_folder(&ours)?;
        private_folder(&ours.join("index"))?;
        for name in listings(&cache).chain(names(&cache.join("index"))) {
            let from = cache.join(&name);
            if from.is_file() {
                let to = ours.join(&name);
                symlink(&from, &to).map_err(|e| Error::io(&to, e))?;
            }
        }
        Ok(overlay)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The listings of files in a cache, by their names.
fn listings(cache: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let names = entries.map(|e| e.file_name());
    names.filter(|n| n.to_str().is_some_and(crate::cache::files::is_listing)).map(std::path::PathBuf::from)
}

/// The index objects in a cache, by their path below it.
fn names(index: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(index).into_iter().flatten().flatten();
    // What starts with a dot is being written.
    let names = entries.map(|e| e.file_name()).filter(|n| !n.as_encoded_bytes().starts_with(b"."));
    names.map(|n| Path::new("index").join(n)).collect()
}
