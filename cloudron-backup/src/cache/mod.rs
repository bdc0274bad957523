//! Caches kept between runs in a folder of the caller. Losing it costs time, and the detection of rollbacks.

pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod summaries;

use std::path::PathBuf;

/// The folder of this user for what makes the next backup fast, and may be lost. None where the environment does not say
/// where that would be.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    cloudron_core::user_dirs::cache().map(|folder| folder.join("backup"))
}
