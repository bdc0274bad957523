//! Restore requests.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The target of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTo {
    /// Each folder at its original path.
    Original,
    /// Everything below this folder, by its full path.
    Under(PathBuf),
}

/// The options of a restore.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RestoreRequest {
    /// The target.
    pub to: RestoreTo,
    /// Folders to restore to another path: (old path, new path). The first match is used. Applied before
    /// [`to`](Self::to).
    pub relocate: Vec<(PathBuf, PathBuf)>,
    /// The paths of the backup to restore, with everything below them. Empty for everything.
    pub only: Vec<PathBuf>,
    /// Parent folders of [`only`](Self::only) to compare as well: those that a restore created, from
    /// [`RestoreReport::parents`](crate::restore::RestoreReport::parents).
    pub parents: Vec<PathBuf>,
    /// If true, existing files that differ are replaced.
    pub overwrite: bool,
    /// If true, owners are set by number only. Otherwise by name, if the name exists on the machine.
    pub numeric_owner: bool,
    /// The number of days for which requested objects of an archive stay readable.
    pub thaw_days: u32,
    /// The maximum time to wait for archived objects. If `None`, the restore ends with `object-archived`
    /// after it has requested all objects it needs, and continues when it is run again.
    pub thaw_wait: Option<Duration>,
}

impl RestoreRequest {
    /// Creates a request to restore everything to its original path.
    pub fn original() -> Self {
        Self {
            to: RestoreTo::Original,
            relocate: Vec::new(),
            only: Vec::new(),
            parents: Vec::new(),
            overwrite: false,
            numeric_owner: false,
            thaw_days: 7,
            thaw_wait: None,
        }
    }

    /// Creates a request to restore everything below a folder.
    pub fn under(dir: impl AsRef<Path>) -> Self {
        Self { to: RestoreTo::Under(dir.as_ref().to_owned()), ..Self::original() }
    }
}
