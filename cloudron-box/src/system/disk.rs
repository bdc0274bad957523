//! The disk that a folder is on.

use std::path::Path;

use crate::{Error, Result};

/// The free and the whole space of the disk that a folder is on, in bytes.
pub(crate) fn space(folder: &Path) -> Result<(u64, u64)> {
    let found = rustix::fs::statvfs(folder).map_err(|e| Error::io(folder, e.into()))?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}
