//! What is asked of a restore.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a restore goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTo {
    /// Each folder where it was.
    Original,
    /// Everything below this folder, by its full path.
    Under(PathBuf),
}

/// What is restored, and where to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RestoreRequest {
    /// Where it goes.
    pub to: RestoreTo,
    /// Folders that go elsewhere than they were: (old path, new path). The first that fits is taken. It
    /// comes before [`to`](Self::to) is applied.
    pub relocate: Vec<(PathBuf, PathBuf)>,
    /// Only these paths of the backup and what is below them. Empty for everything.
    pub only: Vec<PathBuf>,
    /// Folders above [`only`](Self::only) that are compared as well: those that a restore made, as
    /// [`RestoreReport::parents`](crate::restore::RestoreReport::parents) has them.
    pub parents: Vec<PathBuf>,
    /// Whether existing files that differ are replaced.
    pub overwrite: bool,
    /// Owners by number only. Otherwise by name where the machine knows the name.
    pub numeric_owner: bool,
    /// For how many days objects that are in an archive can be read once they were asked for.
    pub thaw_days: u32,
    /// How long to wait for such objects. With none, the restore ends with `object-archived` once it asked for
    /// all that it needs, and goes on when it is run again.
    pub thaw_wait: Option<Duration>,
}

impl RestoreRequest {
    /// Everything to where it was.
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

    /// Everything below a folder.
    pub fn under(dir: impl AsRef<Path>) -> Self {
        Self { to: RestoreTo::Under(dir.as_ref().to_owned()), ..Self::original() }
    }
}
