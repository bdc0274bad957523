//! What a prune and a repair did.

use cloudron_core::{BackupId, Error, Result};
use serde::Serialize;

use super::policy::Decision;
use crate::codes;

/// What a prune did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "what prevented the deletion, and which backups are damaged, is in the report only"]
pub struct PruneReport {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The backups that are kept, and why.
    pub kept: Vec<Decision>,
    /// The backups that were removed.
    pub removed: Vec<BackupId>,
    /// How many packs were found that nothing needs; a later prune deletes them.
    pub packs_condemned: u64,
    /// How many packs were written anew because most of them was waste. They are among the condemned.
    pub packs_repacked: u64,
    /// How many chunks were found to be needed after all and copied out of condemned packs: those of backups
    /// that were under way when the packs were condemned.
    pub chunks_rescued: u64,
    /// How many packs were deleted, having been condemned for longer than the grace.
    pub packs_deleted: u64,
    /// How many bytes that freed.
    pub bytes_freed: u64,
    /// How many bytes of packs are condemned and wait for a later prune.
    pub bytes_freed_later: u64,
    /// How many bytes of packs and index objects were written.
    pub bytes_written: u64,
    /// How many index objects there were, and how many there are.
    pub index_objects: (u64, u64),
    /// How many packs and manifests of runs that died were found without anything that names them.
    pub orphans: u64,
    /// The backups that run, or may, and for which packs were not deleted.
    pub running: Vec<String>,
    /// The backups that had not been heard of for too long and were declared dead; each fails if it wakes up.
    pub fenced: Vec<String>,
    /// The kept backups that lack chunks or cannot be read. `repair` and `verify` say more.
    pub damaged: Vec<String>,
    /// The content that is missing, and of what. Nothing was deleted then.
    pub missing: Vec<String>,
    /// How many packs were read to make sure of what is in them.
    pub packs_verified: u64,
    /// Objects that count for nothing, because nobody signed them who may: key and reason.
    pub ignored: Vec<(String, String)>,
}

impl PruneReport {
    /// Whether everything that backups need is there. If not, nothing was deleted.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// Checks that everything that backups need is there.
    ///
    /// # Errors
    /// `prune-missing`, with the first that is not. Nothing was deleted then.
    pub fn whole(&self) -> Result<()> {
        let Some(first) = self.missing.first() else { return Ok(()) };
        let text = match self.dry_run {
            true => format!("nothing would be deleted: {first}"),
            false => format!("nothing was deleted: {first}"),
        };
        Err(Error::new(&codes::PRUNE_MISSING, text))
    }
}

/// What a repair found and did.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "what could not be repaired is in the report only"]
pub struct RepairReport {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// How many packs were read.
    pub packs: u64,
    /// How many of them were in no usable index.
    pub packs_added: u64,
    /// The packs that are damaged or gone: object and reason. Those that are damaged stay where they are, and
    /// the next backup stores anew what it needs of them.
    pub packs_damaged: Vec<(String, String)>,
    /// How many chunks were saved out of damaged packs.
    pub chunks_saved: u64,
    /// Whether the description or key objects were put back from their second copies.
    pub restored: Vec<String>,
    /// The index objects that were unusable: object and reason.
    pub index_unusable: Vec<(String, String)>,
    /// How many index objects there were, and how many there are.
    pub index_objects: (u64, u64),
    /// How many backups have all that they need.
    pub whole: u64,
    /// The backups that still lack something, or cannot be read, and why. Nothing of them was deleted.
    pub damaged: Vec<(String, String)>,
}

impl RepairReport {
    /// Whether every backup has all that it needs.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty()
    }

    /// Checks that every backup has all that it needs.
    ///
    /// # Errors
    /// `verify-failed`, with the first that does not.
    pub fn whole(&self) -> Result<()> {
        let Some((id, why)) = self.damaged.first() else { return Ok(()) };
        let text = format!("{} backups still lack something, among them {id}: {why}", self.damaged.len());
        Err(Error::new(&codes::VERIFY_FAILED, text))
    }
}
