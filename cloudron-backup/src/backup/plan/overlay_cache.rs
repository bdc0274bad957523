//! A copy of a writer's cache folder that collects writes, so that the cache itself does not change.

use std::os::unix::fs::symlink;
use std::path::Path;

use cloudron_core::{Error, Result};

use crate::files::private_folder;

/// A temporary copy of a cache folder. It is removed when dropped.
pub(super) struct OverlayCache(tempfile::TempDir);

impl OverlayCache {
    /// Creates a copy of the part of a cache folder that belongs to one repository. Files that are only read
    /// or replaced as a whole are links.
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

/// Returns the names of the file listings in a cache.
fn listings(cache: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let names = entries.map(|e| e.file_name());
    names.filter(|n| n.to_str().is_some_and(crate::cache::files::is_listing)).map(std::path::PathBuf::from)
}

/// Returns the index objects in a cache, by their relative paths.
fn names(index: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(index).into_iter().flatten().flatten();
    // Names that start with a dot are temporary files.
    let names = entries.map(|e| e.file_name()).filter(|n| !n.as_encoded_bytes().starts_with(b"."));
    names.map(|n| Path::new("index").join(n)).collect()
}
