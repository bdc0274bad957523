//! The backups of a repository.

use cloudron_core::Error;

use super::latest::latest;
use crate::format::summary::Summary;

/// The backups of a repository.
#[derive(Debug, Default)]
pub struct SnapshotList {
    /// The backups with a valid summary, by the time in their names, oldest first.
    pub summaries: Vec<Summary>,
    /// The invalid objects in the place of a summary, by object key: damaged, or not signed by a writer of
    /// the repository.
    pub unreadable: Vec<(String, Error)>,
}

impl SnapshotList {
    /// Returns the latest backup, as [`Repository::find`](crate::repository::Repository::find) does.
    #[must_use]
    pub fn latest(&self) -> Option<&Summary> {
        latest(&self.summaries, jiff::Timestamp::now())
    }
}
