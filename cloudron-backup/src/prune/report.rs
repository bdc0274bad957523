//! Reports of prunes and repairs.

use std::fmt;

use cloudron_core::human::bytes;
use cloudron_core::{BackupId, Error, Result, escape};
use serde::Serialize;

use super::policy::Decision;
use crate::codes;
use crate::issue::{BeforeAfter, Issue};

/// The result of a prune, or of its dry run.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "what prevented the deletion, and which backups are damaged, is in the report only"]
pub struct PruneReport {
    /// True for a dry run, which changes nothing.
    pub dry_run: bool,
    /// The backups kept, and why.
    pub kept: Vec<Decision>,
    /// The backups removed.
    pub removed: Vec<BackupId>,
    /// The number of unneeded packs found; a later prune deletes them.
    pub packs_condemned: u64,
    /// The number of packs rewritten because they were mostly unused. They are among the condemned.
    pub packs_repacked: u64,
    /// The number of chunks copied out of condemned packs because they are needed by backups that were
    /// running when the packs were condemned.
    pub chunks_rescued: u64,
    /// The number of packs deleted after being condemned for longer than the grace period.
    pub packs_deleted: u64,
    /// The number of bytes freed.
    pub bytes_freed: u64,
    /// The size of the condemned packs that wait for a later prune, in bytes.
    pub bytes_freed_later: u64,
    /// The size of the packs and index objects written, in bytes.
    pub bytes_written: u64,
    /// The number of index objects before and after.
    pub index_objects: BeforeAfter,
    /// The number of packs and manifests of dead runs that nothing refers to.
    pub orphans: u64,
    /// The backups that may be running, for which packs were not deleted.
    pub running: Vec<String>,
    /// The backups declared dead because their locks were not refreshed; each fails if it continues.
    pub fenced: Vec<String>,
    /// The kept backups that lack chunks or cannot be read. `repair` and `verify` report details.
    pub damaged: Vec<String>,
    /// The missing content, with the backups affected. If there is any, nothing was deleted.
    pub missing: Vec<String>,
    /// The number of packs read to verify their content.
    pub packs_verified: u64,
    /// The reason why packs or index objects stay as they are: the store is full. What needed no space was done,
    /// and another prune does the rest once there is space.
    pub no_space: Option<String>,
    /// Ignored objects without a valid signature: key and reason.
    pub ignored: Vec<Issue>,
}

impl PruneReport {
    /// Returns true if all content that backups need exists. If not, nothing was deleted.
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

    /// Checks that the store had room for everything.
    ///
    /// # Errors
    /// `prune-no-space`; its detail `later` is how much another prune frees after the grace.
    pub fn room(&self) -> Result<()> {
        let Some(why) = &self.no_space else { return Ok(()) };
        let text = format!("the store is full, and what needs space there was not done: {why}");
        let error = Error::new(&codes::PRUNE_NO_SPACE, text);
        Err(match self.bytes_freed_later {
            0 => error,
            later => error.with_detail("later", bytes(later)),
        })
    }
}

/// Writes a line for each backup, kept or removed, and then the totals and the freed space.
impl fmt::Display for PruneReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would = if self.dry_run { "would be " } else { "" };
        for decision in &self.kept {
            let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
            writeln!(f, "{}", escape::line(&format!("keep    {}  {}", decision.id, reasons.join(", "))))?;
        }
        for id in &self.removed {
            writeln!(f, "remove  {id}")?;
        }
        match self.missing.is_empty() {
            true => writeln!(f, "{} {would}kept, {} {would}removed", self.kept.len(), self.removed.len())?,
            false => writeln!(f, "nothing is removed while content is missing")?,
        }
        let (now, later) = (bytes(self.bytes_freed), bytes(self.bytes_freed_later));
        write!(f, "{now} {would}deleted now, {later} {would}deleted by a prune after the grace")?;
        if self.no_space.is_some() {
            write!(f, "\npacks of which little is needed stay as they are: the store is full")?;
        }
        if !self.running.is_empty() {
            let running = self.running.join(", ");
            let text = format!("nothing was deleted because of backups that run: {running}");
            write!(f, "\n{}", escape::line(&text))?;
        }
        Ok(())
    }
}

/// The result of a repair, or of its dry run.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "what could not be repaired is in the report only"]
pub struct RepairReport {
    /// True for a dry run, which changes nothing.
    pub dry_run: bool,
    /// The number of packs read.
    pub packs: u64,
    /// The number of packs that were in no usable index.
    pub packs_added: u64,
    /// The damaged or missing packs: object and reason. Damaged packs are not deleted, and the next backup
    /// stores the chunks it needs of them again.
    pub packs_damaged: Vec<Issue>,
    /// The number of chunks saved from damaged packs.
    pub chunks_saved: u64,
    /// The objects written to restore the description, key objects, or their second copies.
    pub restored: Vec<String>,
    /// The unusable index objects: object and reason.
    pub index_unusable: Vec<Issue>,
    /// The number of index objects before and after.
    pub index_objects: BeforeAfter,
    /// The number of backups with all content they need.
    pub whole: u64,
    /// The backups that still lack content, or cannot be read, and why. Nothing of them was deleted.
    pub damaged: Vec<Issue>,
}

impl RepairReport {
    /// Returns true if every backup has all content it needs.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty()
    }

    /// Checks that every backup has all that it needs.
    ///
    /// # Errors
    /// `verify-failed`, with the first that does not.
    pub fn whole(&self) -> Result<()> {
        let Some(Issue { subject, reason }) = self.damaged.first() else { return Ok(()) };
        let text =
            format!("{} backups still lack something, among them {subject}: {reason}", self.damaged.len());
        Err(Error::new(&codes::VERIFY_FAILED, text))
    }
}
