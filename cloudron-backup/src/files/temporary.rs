//! Temporary files that show whether their writer is alive: it holds a lock on them, which the system
//! releases when the process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use cloudron_core::random;

/// The prefix of the names. No part of a store's key starts with a dot.
const PREFIX: &str = ".tmp-";
/// The age after which a file belongs to a dead process, if locks are not supported.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// The number of attempts to create a file that others remove before it is locked.
const ATTEMPTS: u32 = 8;

/// Checks whether a name is that of a temporary file.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Returns the mark of files whose locks this process can see: those created since this machine was booted.
/// In a folder shared by several machines, locks may not work between them.
pub(crate) fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        // Without a boot id, a random mark: then only the age of a file decides.
        let boot = Some(boot.trim().replace('-', "")).filter(|b| !b.is_empty());
        boot.unwrap_or_else(|| random::token(32))
    })
}

/// Returns a name for a temporary file.
pub(crate) fn name() -> String {
    format!("{PREFIX}{}-{}", mark(), random::token(16))
}

/// Creates a file of mode 0600 in a folder, open for reading and writing. It counts as in use while it is open.
pub(crate) fn create(folder: &Path) -> std::io::Result<(PathBuf, File)> {
    for _ in 0..ATTEMPTS {
        let path = folder.join(name());
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        if hold(&file) {
            return Ok((path, file));
        }
    }
    Err(std::io::Error::other("temporary files are taken away as soon as they are made"))
}

/// Creates a temporary file that is removed when it is dropped.
pub(crate) fn named(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let (path, file) = create(folder)?;
    Ok(tempfile::NamedTempFile::from_parts(file, tempfile::TempPath::try_from_path(path)?))
}

/// Locks a new file. Returns false if another process found it unlocked before, and removes it.
pub(crate) fn hold(file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => file.metadata().is_ok_and(|m| m.nlink() > 0),
        Err(TryLockError::WouldBlock) => false,
        // Locks are not supported here, so nobody relies on them.
        Err(TryLockError::Error(_)) => true,
    }
}

/// Removes a temporary file whose writer is dead. On failure, a later call tries again.
pub(crate) fn remove_dead(path: &Path, modified: Option<SystemTime>) {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let made_here = name.strip_prefix(PREFIX).is_some_and(|n| n.starts_with(mark()));
    if made_here && let Ok(file) = open(path) {
        match file.try_lock() {
            // Removed while locked: a writer that has just created it notices.
            Ok(()) => return drop(std::fs::remove_file(path)),
            Err(TryLockError::WouldBlock) => return,
            Err(TryLockError::Error(_)) => {}
        }
    }
    let age = modified.and_then(|m| SystemTime::now().duration_since(m).ok());
    if age.is_some_and(|a| a > STALE) {
        let _ = std::fs::remove_file(path);
    }
}

/// Checks that no process holds a file that was created with a lock.
pub(crate) fn is_abandoned(path: &Path) -> bool {
    open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Opens a file. Does not block on another kind of file of that name, such as a pipe.
fn open(path: &Path) -> std::io::Result<File> {
    if !path.symlink_metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    File::open(path)
}

/// Removes temporary files of dead processes from a folder.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(is_temporary) {
            remove_dead(&entry.path(), entry.metadata().and_then(|m| m.modified()).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_removed_once_its_writer_is_gone_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = create(dir.path()).unwrap();
        sweep(dir.path());
        assert!(path.exists());
        drop(file);
        sweep(dir.path());
        assert!(!path.exists());
    }

    #[test]
    fn where_no_lock_tells_the_age_of_a_file_decides() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join(".tmp-old"), dir.path().join(".tmp-new"));
        for file in [&old, &new] {
            std::fs::write(file, "x").unwrap();
        }
        let past = SystemTime::now() - 2 * STALE;
        File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
        sweep(dir.path());
        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn two_who_make_and_sweep_at_once_take_nothing_from_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let (path, _file) = create(dir.path()).unwrap();
                        sweep(dir.path());
                        assert!(path.exists());
                    }
                });
            }
        });
    }
}
