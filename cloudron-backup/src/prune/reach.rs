//! What backups need.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cloudron_core::{BackupId, Result, Unit};

use super::owner::{Owner, unsafe_because};
use crate::bridge::Blocking;
use crate::chunk::ChunkId;
use crate::manifest::Extent;
use crate::repository::{Summary, summary, summary_name};
use crate::restore::Backup;
use crate::{codes, layout};

/// The chunks that backups need.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    pub(crate) chunks: HashSet<ChunkId>,
    /// The backups whose manifests were read.
    read: HashSet<BackupId>,
}

/// The backups in the list.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) summaries: Vec<Summary>,
    /// Those whose summary cannot be used, and why.
    pub(crate) unreadable: BTreeMap<String, String>,
}

impl Listed {
    /// Reads the summaries and checks that the owner's keys signed them.
    pub(crate) fn load(owner: &Owner<'_>) -> Result<Self> {
        let mut listed = Self::default();
        for object in owner.store.list(layout::SNAPSHOTS)? {
            owner.stop.check()?;
            let Some(name) = summary_name(&object.key) else { continue };
            match read_summary(owner, name) {
                Ok(Some(summary)) => listed.summaries.push(summary),
                Ok(None) => {}
                Err(e) if e.is_retryable() => return Err(e),
                Err(e) if is_about_the_object(&e) => {
                    listed.unreadable.insert(name.to_owned(), e.to_string());
                }
                Err(e) => return Err(e),
            }
        }
        listed.summaries.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(listed)
    }
}

fn is_about_the_object(error: &cloudron_core::Error) -> bool {
    [&codes::SNAPSHOT_CORRUPT, &codes::SNAPSHOT_FORGED, &codes::REPOSITORY_NEWER, &codes::OBJECT_CORRUPT]
        .iter()
        .any(|code| error.is(code))
}

/// The summary of a backup. Nothing when there is none, or a tombstone in its place.
pub(crate) fn read_summary(owner: &Owner<'_>, name: &str) -> Result<Option<Summary>> {
    let content = match owner.store.get(&format!("{}{name}.json", layout::SNAPSHOTS)) {
        Err(e) if e.is(&codes::OBJECT_MISSING) => return Ok(None),
        other => other?,
    };
    summary::check_signature(&content, &owner.signing.verifying_key())?;
    match Summary::parse(&content) {
        Err(e) if e.is(&codes::BACKUP_ABORTED) => Ok(None),
        parsed => {
            let summary = parsed?;
            summary.check_place(name, &owner.config.id)?;
            Ok(Some(summary))
        }
    }
}

impl Reach {
    /// Takes in what these backups need, where that is not known yet.
    ///
    /// # Errors
    /// `prune-unsafe` for one that cannot be read.
    pub(crate) fn extend(&mut self, owner: &Owner<'_>, backups: &[&BackupId]) -> Result<()> {
        let new: Vec<_> = backups.iter().filter(|b| !self.read.contains(**b)).collect();
        let task = owner.progress.task("Reading what backups need", Unit::Items, Some(new.len() as u64));
        for backup in new {
            each_chunk(owner, backup, |chunk| {
                self.chunks.insert(chunk);
            })?;
            self.read.insert((*backup).clone());
            task.advance(1);
        }
        task.finish();
        Ok(())
    }

    /// Those of the backups that need one of these chunks.
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

/// Goes through the chunks of a backup. One that is gone by now needs nothing.
pub(super) fn each_chunk(owner: &Owner<'_>, backup: &BackupId, mut visit: impl FnMut(ChunkId)) -> Result<()> {
    let mut read = || -> Result<()> {
        let opened = Backup::open(owner.store, owner.config, owner.identity, backup, owner.stop)?;
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
            Err(unsafe_because(&layout::manifest(backup), &e))
        }
        other => other,
    }
}

/// Whether the backup was removed while it was read.
fn is_gone(store: &Blocking, backup: &BackupId) -> Result<bool> {
    Ok(store.head(&layout::summary(backup))?.is_none())
}
