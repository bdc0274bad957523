//! Lifecycle rules of a bucket: which are safe for a repository, and which are recommended.
//!
//! A bucket can delete objects by age. For archives that are each complete, this keeps the newest ones. It
//! breaks a repository: a pack written by the first backup belongs to the newest one as long as its files do
//! not change. So such rules are refused, prune replaces them, and [`safe_rules`] returns rules that remove
//! only unneeded data.

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

/// The number of days after which the safe rules act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SafeDays {
    /// Days until an unfinished upload is removed, from its start. At least 1.
    pub unfinished_uploads: i32,
    /// Days until an earlier version is deleted, from the time its object was deleted or overwritten. At
    /// least 1. During this time deletions can be undone.
    pub earlier_versions: i32,
}

impl Default for SafeDays {
    fn default() -> Self {
        Self { unfinished_uploads: 7, earlier_versions: 30 }
    }
}
