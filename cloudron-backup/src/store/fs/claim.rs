//! Excluding others for a moment, on file systems that can neither rename without replacing nor link: exFAT, mounts of
//! rclone, sshfs without hard links.
//!
//! A folder is made beside the file: to make one fails everywhere when it is there already. It is there for two calls
//! of the system. Somebody who sees the same one for [`DEAD`] knows that its maker died.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A claim that is there for so long is of somebody who died.
const DEAD: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });
/// Who had a claim for longer gives it up: the machine was asleep, and others may have taken it for dead.
const VALID: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });
/// So often somebody who waits looks again.
const PAUSE: Duration = Duration::from_millis(20);
/// So often a claim is tried that was given up.
const ATTEMPTS: u32 = 5;

/// A claim on a name. Dropping it gives it up.
struct Claim {
    folder: PathBuf,
    made: (Instant, SystemTime),
}

impl Claim {
    /// Waits until nobody else has a claim on the name.
    fn take(file: &Path) -> Result<Self> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // No key of a store has a part that starts with a dot.
        let folder = file.with_file_name(format!(".claim-{name}"));
        let mut seen: Option<(SystemTime, Instant)> = None;
        loop {
            let made = (Instant::now(), SystemTime::now());
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(Self { folder, made }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
            std::thread::sleep(PAUSE);
            let Ok(theirs) = std::fs::metadata(&folder).and_then(|m| m.modified()) else { continue };
            match seen {
                Some((same, since)) if same == theirs => {
                    if since.elapsed() > DEAD {
                        // One that was made meanwhile is seen by its time, but for the moment between these calls.
                        let _ = std::fs::remove_dir(&folder);
                        seen = None;
                    }
                }
                _ => seen = Some((theirs, Instant::now())),
            }
        }
    }

    /// Whether nobody can have taken it for dead.
    fn is_valid(&self) -> bool {
        self.made.0.elapsed() < VALID && self.made.1.elapsed().is_ok_and(|age| age < VALID)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Renames a file to a name unless there is one of that name. False when there is.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<bool> {
    for _ in 0..ATTEMPTS {
        let claim = Claim::take(to)?;
        // Opened, since what the system remembers of names may be older.
        match std::fs::File::open(to) {
            Ok(_) => return Ok(false),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        if claim.is_valid() {
            return std::fs::rename(from, to).map(|()| true);
        }
    }
    Err(Error::new(ErrorKind::TimedOut, "the file system is too slow to tell who was first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_at_once_one_gets_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("name");
        let won: usize = std::thread::scope(|scope| {
            let each = (0..8).map(|n| {
                let (dir, target) = (dir.path(), &target);
                scope.spawn(move || {
                    let own = dir.join(format!("own{n}"));
                    std::fs::write(&own, n.to_string()).unwrap();
                    rename_new(&own, target).unwrap()
                })
            });
            let each: Vec<_> = each.collect();
            each.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
        assert!(!dir.path().join(".claim-name").exists());
    }

    #[test]
    fn a_claim_of_somebody_who_died_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (own, target) = (dir.path().join("own"), dir.path().join("name"));
        std::fs::write(&own, "x").unwrap();
        std::fs::create_dir(dir.path().join(".claim-name")).unwrap();
        assert!(rename_new(&own, &target).unwrap());
        assert_eq!(std::fs::read(&target).unwrap(), b"x");
    }
}
