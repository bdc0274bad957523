//! Which lifecycle rules of a bucket a repository can live with, and which are good for it.
//!
//! A bucket can delete objects by age. For archives that are each complete, that is a way to keep the newest
//! ones. A repository breaks of it: a pack written by the first backup is part of the newest one for as long as
//! the files in it do not change. So such rules are refused, prune takes their place, and [`safe_rules`]
//! gives those that only remove what nobody needs.

mod judge;
mod rule;

#[cfg(feature = "s3")]
pub(crate) use judge::ARCHIVES;
pub use judge::{Danger, Harm, dangers, merge, refuse, safe_rules};
pub use rule::{
    AbortUploads, And, Expiration, Filter, Lifecycle, NoncurrentExpiration, NoncurrentTransition, Rule, Tag,
    Transition,
};

use cloudron_core::{Error, Result};
use serde::Serialize;

use crate::codes;
use crate::store::{BackupStore, Known};

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

/// What the rules of a bucket are and what they should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Review {
    /// The rules that are there.
    pub current: Known<Lifecycle>,
    /// The rules to have: those that are there, with ours added or brought up to date.
    pub wanted: Lifecycle,
    /// Ours alone.
    pub ours: Vec<Rule>,
    /// Whether what is there is what is wanted.
    pub is_applied: bool,
    /// The rules that harm the repository. They belong to somebody: they are named, and never removed.
    pub dangers: Vec<Danger>,
}

/// Compares the rules of a store with those that are good for the repository in it.
///
/// # Errors
/// What the store reports. Rules that it does not tell of are unknown, not an error.
pub async fn review(store: &dyn BackupStore, days: SafeDays) -> Result<Review> {
    let prefix = store.key_prefix();
    let current = store.lifecycle().await?;
    let ours = safe_rules(&prefix, days);
    let there = current.known().cloned().unwrap_or_default();
    let wanted = merge(&there, &ours);
    let is_applied = current.known() == Some(&wanted);
    let dangers = dangers(&there, &prefix);
    Ok(Review { current, wanted, ours, is_applied, dangers })
}

/// Puts the good rules into the store, beside those that are there. Gives the review as it was before.
///
/// # Errors
/// `store-rules-unknown` when the rules that are there cannot be read, since the new ones would replace
/// them; what the store reports; `store-option` for a store without such rules.
pub async fn apply(store: &dyn BackupStore, days: SafeDays) -> Result<Review> {
    let review = review(store, days).await?;
    if let Known::Unknown(why) = &review.current {
        let text = format!("the rules of {} cannot be read, so they cannot be added to: {why}", store.url());
        return Err(Error::new(&codes::STORE_RULES_UNKNOWN, text));
    }
    if !review.is_applied {
        store.set_lifecycle(&review.wanted).await?;
    }
    Ok(review)
}
