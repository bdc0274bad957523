//! Excludes other writers for a moment, on file systems that can neither rename without replacing nor link:
//! exFAT, mounts of rclone, sshfs without hard links.
//!
//! A claim is a folder beside the file: creating a folder fails everywhere if it exists already. It exists
//! for two system calls. A process that sees the same claim for [`DEAD`] knows that its owner died.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The age after which a claim belongs to a dead process.
const DEAD: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });
/// The age after which the owner gives up its claim: the machine was asleep, and others may consider it dead.
const VALID: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });
/// The interval at which a waiting process looks again.
const PAUSE: Duration = Duration::from_millis(20);
/// The number of attempts after a claim was given up.
const ATTEMPTS: u32 = 5;

/// A claim on a name. Dropping it removes it.
struct Claim {
    folder: PathBuf,
    made: (Instant, SystemTime),
}

impl Claim {
    /// Waits until there is no other claim on the name.
    fn take(file: &Path) -> Result<Self> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // No part of a store's key starts with a dot.
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
                        // A new claim made in between is recognized by its time, except between these calls.
                        let _ = std::fs::remove_dir(&folder);
                        seen = None;
                    }
                }
                _ => seen = Some((theirs, Instant::now())),
            }
        }
    }

    /// Checks that no other process can consider the claim dead.
    fn is_valid(&self) -> bool {
        self.made.0.elapsed() < VALID && self.made.1.elapsed().is_ok_and(|age| age < VALID)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Renames a file to a name that does not exist yet. Returns false if it exists.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<bool> {
    for _ in 0..ATTEMPTS {
        let claim = Claim::take(to)?;
        // Opened, because cached names may be outdated.
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
