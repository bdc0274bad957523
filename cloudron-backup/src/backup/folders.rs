//! Local folders that a backup uses for itself.

use std::io::Write;
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Progress};

use super::{BackupRequest, BackupRun};
use crate::files::{private_folder, temporary};
use crate::format::config::Config;

/// The free space, in bytes, below which the cache is not used. A run writes little there.
const ROOM: usize = 256 << 10;

/// Returns the folder of the cache if it is writable. Without it a backup is slower, but otherwise the same.
pub(super) fn cache_dir(request: &BackupRequest, config: &Config, progress: &Progress) -> Option<PathBuf> {
    let dir = request.cache_dir.as_ref()?.join(&config.id);
    let usable = private_folder(&dir).and_then(|()| {
        let probe = temporary::named(&dir).and_then(|mut file| file.write_all(&[0; ROOM]));
        probe.map_err(|e| Error::io(&dir, e))
    });
    match usable {
        Ok(()) => Some(dir),
        Err(e) => {
            progress
                .warn(format!("the backup is slower than it could be, for the cache cannot be used: {e}"));
            None
        }
    }
}

/// The free space, in bytes, below which the manifest is written to another folder with more space.
const ROOM_FOR_MANIFEST: u64 = 256 << 20;

/// Returns the folder in which the manifest is written before it is stored.
pub(super) fn scratch(cache: Option<&Path>) -> PathBuf {
    let room = |dir: &Path| rustix::fs::statvfs(dir).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize));
    let temporary = std::env::temp_dir();
    match cache.map(|dir| (dir, room(dir))) {
        Some((dir, left)) if left >= ROOM_FOR_MANIFEST || left >= room(&temporary) => dir.to_owned(),
        _ => temporary,
    }
}

/// Returns the program's own folders, which must not be in the backup: the repository and the cache.
pub(super) fn own_folders(run: &BackupRun<'_>) -> Vec<PathBuf> {
    let store = run.store.url().strip_prefix("file://").map(PathBuf::from);
    let folders = [store, run.request.cache_dir.clone()].into_iter().flatten();
    folders.chain(run.also_skip.iter().cloned()).filter_map(|f| f.canonicalize().ok()).collect()
}
