//! The backups of a repository.

use cloudron_core::Error;

use super::latest::latest;
use crate::format::summary::Summary;

/// The backups of a repository.
#[derive(Debug, Default)]
pub struct SnapshotList {
    /// Those whose summary could be read, by the time in their names, oldest first.
    pub summaries: Vec<Summary>,
    /// The objects in the place of a summary that count for nothing, by object key: damaged, or not signed by a
    /// writer of the repository.
    pub unreadable: Vec<(String, Error)>,
}

impl SnapshotList {
    /// The one that was made last, as [`Repository::find`](crate::repository::Repository::find) tells.
    #[must_use]
    pub fn latest(&self) -> Option<&Summary> {
        latest(&self.summaries, jiff::Timestamp::now())
    }
}
