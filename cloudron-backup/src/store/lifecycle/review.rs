//! Compares the rules of a store with the recommended ones.

use cloudron_core::{Error, Result};
use serde::Serialize;

use super::{Danger, Harm, Lifecycle, Rule, SafeDays, dangers, merge, safe_rules};
use crate::codes;
use crate::store::{BackupStore, Known};

/// The current and the recommended rules of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Review {
    /// The existing rules.
    pub current: Known<Lifecycle>,
    /// The existing rules, with ours added or updated.
    pub wanted: Lifecycle,
    /// The safe rules alone.
    pub ours: Vec<Rule>,
    /// True if the existing rules are the wanted ones.
    pub is_applied: bool,
    /// The rules that harm the repository. They are the owner's: they are reported, and never removed.
    pub dangers: Vec<Danger>,
}

impl Review {
    /// Checks that no rule destroys or hides what is needed at once. Packs in an archive can be asked for.
    ///
    /// # Errors
    /// `lifecycle-harms` with the first one that does.
    pub fn harmless(&self) -> Result<()> {
        match self.dangers.iter().find(|danger| !matches!(danger.harm, Harm::ArchivesPacks(_))) {
            Some(danger) => Err(Error::new(&codes::LIFECYCLE_HARMS, danger.to_string())),
            None => Ok(()),
        }
    }
}

/// Compares the rules of a store with the safe ones for the repository in it.
///
/// # Errors
/// Errors of the store. Rules that it does not report are unknown, not an error.
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

/// Adds the safe rules to the existing ones of the store. Returns the review from before the change.
///
/// # Errors
/// `store-rules-unknown` when the existing rules cannot be read, since the new ones would replace them;
/// errors of the store; `store-option` for a store without such rules.
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
