//! What is asked of a prune and of a repair.

use std::time::Duration;

use cloudron_core::BackupId;

use super::policy::PrunePolicy;

/// What a prune does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PruneRequest {
    /// Which backups are kept.
    pub policy: PrunePolicy,
    /// Backups that are removed whatever the policy says, the newest and unreadable ones too.
    pub remove: Vec<BackupId>,
    /// Whether the policy may remove more than half of the backups of a group.
    pub allow_removals: bool,
    /// Whether backups that are missing, as their numbers show, are given up: they count as removed from now on.
    /// As long as something is missing and not given up, nothing is deleted.
    pub forget_missing: bool,
    /// Whether only to say what would be done. Nothing is written then.
    pub dry_run: bool,
    /// How long packs that nothing needs any more are kept before a later prune deletes them, and how long
    /// leftovers of runs that died are left alone. By default 24 hours. Restores and checks under way may
    /// fail, and be repeated, when this is shorter than they take. It must be longer than the time by which
    /// the lists of the store are late.
    pub grace: Duration,
    /// How many bytes of packs are at most written anew to get rid of the waste in them. By default as many
    /// as are worth it.
    pub max_repack: Option<u64>,
}

impl PruneRequest {
    /// The grace of a prune that does not say otherwise.
    pub const GRACE: Duration = Duration::from_secs(24 * 3600);

    /// A prune by that policy.
    pub fn new(policy: PrunePolicy) -> Self {
        Self {
            policy,
            remove: Vec::new(),
            allow_removals: false,
            forget_missing: false,
            dry_run: false,
            grace: Self::GRACE,
            max_repack: None,
        }
    }
}

impl Default for PruneRequest {
    /// Removes no backup: cleans up only.
    fn default() -> Self {
        Self::new(PrunePolicy::default())
    }
}

/// How a repair is done.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepairRequest {
    /// Whether only to say what is wrong. Nothing is written then.
    pub dry_run: bool,
}
