//! The disk that a folder is on.

use std::path::Path;

use crate::{Error, Result};

/// The space of a disk, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    /// What is left for the server.
    pub(crate) free: u64,
    pub(crate) total: u64,
}

/// The space of the disk that a folder is on.
///
/// # Errors
/// Those of file operations.
pub(crate) fn space(folder: &Path) -> Result<Space> {
    let found = rustix::fs::statvfs(folder).map_err(|e| Error::io(folder, e.into()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}
