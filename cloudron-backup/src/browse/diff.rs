//! Compares two backups by merging their manifests, which have the same order.

use std::cmp::Ordering;
use std::path::PathBuf;

use cloudron_core::{BackupId, Result, Unit};

use crate::browse::{Change, ChangeKind, DiffReport};
use crate::format::manifest::order::in_order;
use crate::format::manifest::{Entry, Kind, ManifestReader};
use crate::snapshot::paths::Wanted;
use crate::snapshot::{FileEntry, Reading};

/// Compares two backups. At most one entry of each is in memory.
pub(crate) fn run(
    reading: &Reading<'_>,
    (before, after): (&BackupId, &BackupId),
    only: &[PathBuf],
    mut each: impl FnMut(Change) -> Result<()>,
) -> Result<DiffReport> {
    let (old, new) = (reading.backup(before)?, reading.backup(after)?);
    let total = old.summary.entries.values().chain(new.summary.entries.values()).sum();
    let task = reading.progress.task("Comparing", Unit::Items, Some(total));
    let mut wanted = Wanted::new(only);
    let mut next = |entries: &mut ManifestReader<'_>| -> Result<Option<Entry>> {
        while let Some(entry) = entries.next()? {
            reading.stop.check()?;
            task.advance(1);
            if wanted.has(&entry.path()) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    };
    let (mut olds, mut news) = (old.entries()?, new.entries()?);
    let (mut a, mut b) = (next(&mut olds)?, next(&mut news)?);
    let mut report = DiffReport::default();
    while a.is_some() || b.is_some() {
        let order = match (&a, &b) {
            (Some(a), Some(b)) => in_order(&a.path_bytes(), &b.path_bytes()),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let left = if order.is_le() { a.take() } else { None };
        let right = if order.is_ge() { b.take() } else { None };
        match change(left.as_ref(), right.as_ref()) {
            Some(kind) => {
                report.count(kind, left.as_ref(), right.as_ref());
                let [before, after] = [left, right].map(|e| e.as_ref().map(FileEntry::from));
                each(Change { kind, before, after })?;
            }
            None => report.unchanged += 1,
        }
        if order.is_le() {
            a = next(&mut olds)?;
        }
        if order.is_ge() {
            b = next(&mut news)?;
        }
    }
    wanted.check_all_met("either backup")?;
    task.finish();
    Ok(report)
}

/// Returns the kind of change between two entries of a path, if they differ.
fn change(before: Option<&Entry>, after: Option<&Entry>) -> Option<ChangeKind> {
    let (a, b) = match (before, after) {
        (Some(a), Some(b)) => (a, b),
        (None, None) => return None,
        (None, Some(_)) => return Some(ChangeKind::Added),
        (Some(_), None) => return Some(ChangeKind::Removed),
    };
    if a.kind != b.kind {
        return Some(ChangeKind::Type);
    }
    let same_content = match a.kind {
        Kind::File => (a.size, a.sha256) == (b.size, b.sha256),
        Kind::Symlink | Kind::Hardlink => a.target() == b.target(),
        Kind::Block | Kind::Char => a.rdev == b.rdev,
        Kind::Dir | Kind::Fifo | Kind::End => true,
    };
    if !same_content {
        return Some(ChangeKind::Content);
    }
    let metadata = |e: &Entry| (e.mode, e.uid, e.gid, e.user.clone(), e.group.clone(), e.mtime, e.xattrs());
    (metadata(a) != metadata(b)).then_some(ChangeKind::Metadata)
}

impl DiffReport {
    fn count(&mut self, kind: ChangeKind, before: Option<&Entry>, after: Option<&Entry>) {
        let size = |entry: Option<&Entry>| entry.map_or(0, |e| e.size);
        match kind {
            ChangeKind::Added => self.added += 1,
            ChangeKind::Removed => self.removed += 1,
            ChangeKind::Content => self.content += 1,
            ChangeKind::Metadata => self.metadata += 1,
            ChangeKind::Type => self.types += 1,
        }
        if kind != ChangeKind::Metadata {
            self.bytes_before += size(before);
            self.bytes_after += size(after);
        }
    }
}
