//! Which lifecycle rules of a bucket a repository can live with, and which are good for it.
//!
//! A bucket can delete objects by age. For archives that are each complete, that is a way to keep the newest
//! ones. A repository breaks of it: a pack written by the first backup is part of the newest one for as long as
//! the files in it do not change. So such rules are refused, prune takes their place, and [`safe_rules`]
//! gives those that only remove what nobody needs.

mod judge;
mod review;
mod rule;

#[cfg(feature = "s3")]
pub(crate) use judge::ARCHIVES;
pub use judge::{Danger, Harm, dangers, merge, refuse, safe_rules};
pub use review::{Review, apply, review};
pub use rule::{
    AbortUploads, And, Expiration, Filter, Lifecycle, NoncurrentExpiration, NoncurrentTransition, Rule, Tag,
    Transition,
};

use serde::Serialize;

/// After how many days the safe rules act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SafeDays {
    /// Unfinished uploads are removed so many days after they were begun. At least 1.
    pub unfinished_uploads: i32,
    /// Earlier versions are deleted so many days after an object was deleted or overwritten. At least 1.
    /// For so long whoever can only delete can be undone.
    pub earlier_versions: i32,
}

impl Default for SafeDays {
    fn default() -> Self {
        Self { unfinished_uploads: 7, earlier_versions: 30 }
    }
}
