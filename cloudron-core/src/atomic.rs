//! Atomic file replacement: after a crash, a file has its old content or its new content, never a part of it.
//!
//! New content is written under a temporary name in the same folder, synced and renamed; then the folder is synced.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::{Error, Result, codes, random};

/// Prefix and suffix of temporary file names. They are hidden, so that a listing of the folder skips them.
const TEMPORARY: (&str, &str) = (".cloudron-", ".tmp");
/// Age after which a temporary file is a leftover: no writer takes this long for one file.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Writes a file atomically. The file has its mode before it has content.
///
/// # Errors
/// `io` and similar codes, with the file's name; the old file then still exists.
pub fn write(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    write_with(path, mode, |file| file.write_all(content))
}

/// Writes a file atomically, with content that `fill` writes.
///
/// # Errors
/// As [`write()`], and errors of `fill`.
pub fn write_with(path: &Path, mode: u32, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    replace(path, |temporary| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
        // The umask may have removed bits.
        file.set_permissions(Permissions::from_mode(mode))?;
        fill(&mut file)?;
        file.sync_all()
    })
}

/// Writes a new file that only this user may read, such as one with a secret in it. What it is to hold is on disk when this
/// returns.
///
/// # Errors
/// `output-exists` when there is a file of that name, `io` and similar codes; no part of the content is then left.
pub fn create_private(path: &Path, content: &[u8]) -> Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::new(&codes::OUTPUT_EXISTS, format!("{} exists already", path.display()))
                .with_hint("choose another name, or move the file away")
        }
        _ => Error::io(path, e),
    })?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|e| {
        // A part of it would stand in the way of the next try.
        let _ = fs::remove_file(path);
        Error::io(path, e)
    })
}

/// Replaces `path` with what `make` creates under the name that it is given. If `make` fails, what it left there is
/// removed.
///
/// # Errors
/// As [`write()`], and errors of `make`.
pub fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let folder = folder_of(path);
    remove_leftovers(folder);
    let (start, end) = TEMPORARY;
    let temporary = folder.join(format!("{start}{}{end}", random::token(16)));
    make(&temporary).and_then(|()| fs::rename(&temporary, path)).map_err(|e| {
        let _ = fs::remove_file(&temporary);
        Error::io(path, e)
    })?;
    sync_folder(folder)
}

/// Syncs a folder, so that created, renamed and removed names in it survive a power failure. Some file systems, such as
/// network or FUSE file systems, cannot sync a folder; this is not an error.
///
/// # Errors
/// `io` and similar codes, if the disk failed.
pub fn sync_folder(folder: &Path) -> Result<()> {
    match File::open(folder).and_then(|f| f.sync_all()) {
        Err(e) if !is_refusal(&e) => Err(Error::io(folder, e)),
        _ => Ok(()),
    }
}

/// Returns whether an error means that the operation is not supported here, rather than a failure.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes the leftovers of crashed writers in a folder. If it fails, the next write tries again.
fn remove_leftovers(folder: &Path) {
    let ours = |name: &str| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1);
    let age = |made: SystemTime| SystemTime::now().duration_since(made).unwrap_or_default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let named = entry.file_name().to_str().is_some_and(ours);
        if named && entry.metadata().and_then(|m| m.modified()).is_ok_and(|made| age(made) > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_old_content_stays_until_the_new_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        write(&file, 0o600, b"old").unwrap();
        write_with(&file, 0o600, |out| {
            out.write_all(b"new")?;
            assert_eq!(fs::read(&file)?, b"old");
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["x"]);
    }

    #[test]
    fn the_mode_is_there_before_the_content_and_whatever_the_old_file_had() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        for mode in [0o600, 0o666, 0o755, 0o600] {
            write_with(&file, mode, |out| {
                assert_eq!(out.metadata()?.permissions().mode() & 0o7777, mode);
                out.write_all(b"content")
            })
            .unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, mode);
        }
    }

    #[test]
    fn a_private_file_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        create_private(&file, b"secret").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(create_private(&file, b"other").unwrap_err().is(&codes::OUTPUT_EXISTS));
        assert_eq!(fs::read(&file).unwrap(), b"secret");
    }

    #[test]
    fn an_error_names_the_file_keeps_the_old_content_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        write(&file, 0o600, b"old").unwrap();
        let error = write_with(&file, 0o600, |out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert!(error.is(&crate::codes::NO_SPACE) && error.to_string().contains("/x:"), "{error}");
        assert_eq!((fs::read(&file).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["x".into()]));
        // A folder is in the way.
        fs::create_dir(folder.path().join("y")).unwrap();
        write(&folder.path().join("y"), 0o600, b"").unwrap_err();
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn what_a_crash_left_is_hidden_does_not_hinder_and_goes_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let mut left = None;
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            replace(&folder.path().join("x"), |temporary| {
                left = Some(temporary.to_owned());
                fs::write(temporary, "half")?;
                std::panic::resume_unwind(Box::new("killed"))
            })
        }));
        let left = left.unwrap();
        assert!(left.file_name().unwrap().to_str().unwrap().starts_with('.'));
        write(&folder.path().join("x"), 0o600, b"whole").unwrap();
        assert!(left.exists(), "its writer may be at work");
        let old = SystemTime::now() - 2 * STALE;
        File::options().write(true).open(&left).unwrap().set_modified(old).unwrap();
        write(&folder.path().join("x"), 0o600, b"whole").unwrap();
        assert_eq!(names(folder.path()), ["x"]);
    }

    #[test]
    fn of_two_at_once_one_wins_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        let contents = [[b'a'; 50_000], [b'b'; 50_000]];
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| (0..20).for_each(|_| write(&file, 0o600, content).unwrap()));
            }
        });
        assert!(contents.iter().any(|c| fs::read(&file).unwrap() == c));
        assert_eq!(names(folder.path()), ["x"]);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, "precious").unwrap();
        replace(&link, |temporary| symlink(&target, temporary)).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), target);
        write(&link, 0o600, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert!(!link.is_symlink());
    }
}
