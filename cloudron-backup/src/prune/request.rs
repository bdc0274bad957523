//! Requests of prunes and repairs.

use std::time::Duration;

use cloudron_core::BackupId;

use super::policy::PrunePolicy;

/// The options of a prune.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PruneRequest {
    /// The backups to keep.
    pub policy: PrunePolicy,
    /// Backups to remove regardless of the policy, including the newest and unreadable ones.
    pub remove: Vec<BackupId>,
    /// If true, the policy may remove more than half of the backups of a group.
    pub allow_removals: bool,
    /// If true, missing backups, detected by their numbers, count as removed from now on. While something is
    /// missing and not accepted, nothing is deleted.
    pub forget_missing: bool,
    /// If true, only reports what would be done, without writing anything.
    pub dry_run: bool,
    /// The time for which unneeded packs are kept before a later prune deletes them, and for which objects of
    /// dead runs are left alone. By default 24 hours. If it is shorter than running restores and checks take,
    /// these may fail and must be repeated. It must be longer than the delay of the store's listings.
    pub grace: Duration,
    /// The maximum number of bytes of packs to rewrite to remove unused content. By default as many as are
    /// worth it.
    pub max_repack: Option<u64>,
}

impl PruneRequest {
    /// The default grace period.
    pub const GRACE: Duration = Duration::from_secs(24 * 3600);

    /// Creates a request with this policy.
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
    /// Removes no backup: only cleans up.
    fn default() -> Self {
        Self::new(PrunePolicy::default())
    }
}

/// The options of a repair.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepairRequest {
    /// If true, only reports what is wrong, without writing anything.
    pub dry_run: bool,
}
