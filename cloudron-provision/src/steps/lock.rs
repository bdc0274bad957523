//! Keeps two processes of this computer off the same machine.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cloudron_core::{Error, Result};
use rustix::fs::{FlockOperation, flock};

use crate::codes;

/// Held while a run works on a name; the kernel releases it with the process, however that ends.
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
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::new(&codes::RUN_BUSY, format!("another process is working on {fqdn}")))
            }
            Err(e) => Err(Error::io(&path, e.into())),
        }
    }
}
