//! Finds the listed backups and the chunks they need.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;
use std::time::SystemTime;

use cloudron_core::{BackupId, Error, Result, Unit};

use crate::chunk::ChunkId;
use crate::codes;
use crate::format::forgotten::Forgotten;
use crate::format::manifest::Extent;
use crate::format::summary::{Summary, is_about_the_object};
use crate::format::trust::gaps;
use crate::keys::WriterId;
use crate::layout::{self, summary_name};
use crate::snapshot::Owner;
use crate::store::blocking::Blocking;

/// The backups in the list.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// The valid backups.
    pub(crate) summaries: Vec<Summary>,
    /// The hashes of their summaries.
    pub(crate) hashes: BTreeMap<BackupId, String>,
    /// Times when their summaries were written, by the store's clock.
    pub(crate) written: BTreeMap<BackupId, SystemTime>,
    /// Ignored objects in the place of a summary, by name, and why.
    pub(crate) ignored: BTreeMap<String, String>,
    /// The backups that the owner removed.
    pub(crate) forgotten: Forgotten,
    /// Removed backups that still exist: a prune was interrupted, or somebody put them back.
    pub(crate) removed: Vec<Summary>,
}

impl Listed {
    /// Reads the summaries, and the records of removed backups.
    ///
    /// # Errors
    /// Errors of the store.
    pub(crate) fn load(owner: &Owner<'_>) -> Result<Self> {
        let forgotten = Forgotten::load(owner.store, &owner.trust)?;
        let mut listed = Self { forgotten, ..Self::default() };
        let mut objects = owner.store.list(layout::SNAPSHOTS)?;
        objects.retain(|o| summary_name(&o.key).is_some());
        for (object, content) in owner.store.get_all(objects, layout::MOST_JSON)? {
            owner.stop.check()?;
            let name = summary_name(&object.key).unwrap_or_default().to_owned();
            let content = match content {
                Err(e) if e.is(&codes::OBJECT_MISSING) => continue,
                Err(e) if e.is(&codes::OBJECT_CORRUPT) => {
                    listed.ignored.insert(name, "it is larger than any summary".to_owned());
                    continue;
                }
                other => other?,
            };
            match owner.trust.summary(&name, &content) {
                Ok(summary) if listed.forgotten.has(&summary) => listed.removed.push(summary),
                Ok(summary) => {
                    listed.hashes.insert(summary.id.clone(), layout::object_id(&content));
                    listed.written.extend(object.modified.map(|time| (summary.id.clone(), time)));
                    listed.summaries.push(summary);
                }
                Err(e) if e.is(&codes::BACKUP_ABORTED) => {}
                Err(e) if is_about_the_object(&e) => {
                    listed.ignored.insert(name, e.to_string());
                }
                Err(e) => return Err(e),
            }
        }
        listed.summaries.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(listed)
    }

    /// Returns the numbers of backups that somebody other than the owner removed, by writer.
    pub(crate) fn gaps(&self) -> BTreeMap<Option<WriterId>, Vec<RangeInclusive<u64>>> {
        let mut present: BTreeMap<Option<WriterId>, BTreeSet<u64>> = BTreeMap::new();
        for summary in &self.summaries {
            present.entry(summary.writer).or_default().insert(summary.sequence);
        }
        let gaps = present.into_iter().map(|(writer, present)| {
            let gaps = gaps(&present, self.forgotten.of(writer));
            (writer, gaps)
        });
        gaps.filter(|(_, gaps)| !gaps.is_empty()).collect()
    }
}

/// The chunks that backups need.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    pub(crate) chunks: HashSet<ChunkId>,
    /// The backups whose manifests were read.
    read: HashSet<BackupId>,
    /// The backups whose manifests cannot be read, and why.
    pub(crate) broken: BTreeMap<BackupId, String>,
}

impl Reach {
    /// Adds the chunks needed by these backups, unless they are known already.
    ///
    /// # Errors
    /// Errors of the store. An unreadable backup is recorded.
    pub(crate) fn extend(&mut self, owner: &Owner<'_>, backups: &[&BackupId]) -> Result<()> {
        let new: Vec<_> = backups.iter().filter(|b| !self.read.contains(**b)).collect();
        let task = owner.progress.task("Reading what backups need", Unit::Items, Some(new.len() as u64));
        for backup in new {
            let read = each_chunk(owner, backup, |chunk| {
                self.chunks.insert(chunk);
            });
            match read {
                Ok(()) => drop(self.read.insert((*backup).clone())),
                Err(e) if e.is(&codes::PRUNE_UNSAFE) => {
                    self.broken.insert((*backup).clone(), e.message().to_owned());
                }
                Err(e) => return Err(e),
            }
            task.advance(1);
        }
        task.finish();
        Ok(())
    }

    /// Returns the backups that need one of these chunks.
    pub(crate) fn who_needs(&self, owner: &Owner<'_>, chunks: &HashSet<ChunkId>) -> Result<Vec<String>> {
        let mut found = BTreeSet::new();
        if !chunks.is_empty() {
            for backup in &self.read {
                each_chunk(owner, backup, |chunk| {
                    if chunks.contains(&chunk) {
                        found.insert(backup.clone());
                    }
                })?;
            }
        }
        Ok(found.into_iter().map(|b| b.to_string()).collect())
    }
}

/// Visits the chunks of a backup. A backup removed meanwhile needs none.
///
/// # Errors
/// `prune-unsafe` for an unreadable backup; errors of the store.
pub(crate) fn each_chunk(owner: &Owner<'_>, backup: &BackupId, mut visit: impl FnMut(ChunkId)) -> Result<()> {
    let mut read = || -> Result<()> {
        let opened = owner.backup(backup)?;
        let mut entries = opened.entries()?;
        while let Some(entry) = entries.next()? {
            owner.stop.check()?;
            for extent in &entry.extents {
                if let Extent::Data { chunk, .. } = extent {
                    visit(*chunk);
                }
            }
        }
        Ok(())
    };
    match read() {
        Err(e) if e.is(&codes::BACKUP_UNKNOWN) => Ok(()),
        Err(e) if is_about_the_object(&e) || e.is(&codes::OBJECT_MISSING) => {
            if is_gone(owner.store, backup)? {
                return Ok(());
            }
            Err(unsafe_because(&format!("the manifest of {backup}"), &e))
        }
        other => other,
    }
}

/// Checks whether the backup was removed while it was read.
fn is_gone(store: &Blocking, backup: &BackupId) -> Result<bool> {
    Ok(store.head(&layout::summary(backup))?.is_none())
}

/// Returns the error that stops a prune which could lose content.
fn unsafe_because(object: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(&codes::PRUNE_UNSAFE, format!("{object}: {why}"))
}
