//! A lock that prevents two processes of this computer from working on the same machine.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use cloudron_core::{Error, Result};
use rustix::fs::{FlockOperation, flock};

use crate::codes;

/// Number of attempts. A lock that another process only checks, or that a child process inherited until it executes its
/// program, is free again in a moment.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// Held while a run works on a name. The kernel releases it when the process ends, for any reason.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock for a name, in the journals' folder.
    pub(super) fn take(folder: &Path, fqdn: &str) -> Result<Self> {
        if fqdn.is_empty() || fqdn.contains(['/', '\0']) || fqdn.starts_with('.') {
            return Err(Error::new(
                &cloudron_core::codes::USAGE,
                format!("{fqdn:?} cannot be a machine's name"),
            ));
        }
        let path = folder.join(format!("{fqdn}.lock"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| Error::io(&path, e))?;
        let mut locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        for _ in 0..TRIES {
            if locked != Err(rustix::io::Errno::WOULDBLOCK) {
                break;
            }
            std::thread::sleep(PAUSE);
            locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        }
        match locked {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let message = format!("another process on this computer is working on {fqdn}");
                Err(Error::new(&codes::RUN_BUSY, message)
                    .with_hint("wait until it ends; nothing of what it does was changed"))
            }
            Err(e) => Err(Error::io(&path, e.into())),
        }
    }
}
