//! The disk that a folder is on.

use std::path::Path;

use crate::{Error, Result};

/// The space of a disk, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    /// Space available to the server.
    pub(crate) free: u64,
    pub(crate) total: u64,
}

/// Returns the space of the disk that contains a folder.
///
/// # Errors
/// File errors.
pub(crate) fn space(folder: &Path) -> Result<Space> {
    let found = rustix::fs::statvfs(folder).map_err(|e| Error::io(folder, e.into()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}
