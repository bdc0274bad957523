//! Comparing the rules of a store with the ones to have.

use cloudron_core::{Error, Result};
use serde::Serialize;

use super::{Danger, Harm, Lifecycle, Rule, SafeDays, dangers, merge, safe_rules};
use crate::codes;
use crate::store::{BackupStore, Known};

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
