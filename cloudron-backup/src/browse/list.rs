//! Lists the content of a backup.

use std::path::PathBuf;

use cloudron_core::{BackupId, Result, Unit};

use crate::browse::ListReport;
use crate::snapshot::paths::Wanted;
use crate::snapshot::{FileEntry, FileKind, Reading};

/// Passes every requested entry to the callback, in the order of the manifest.
pub(crate) fn run(
    reading: &Reading<'_>,
    id: &BackupId,
    only: &[PathBuf],
    mut each: impl FnMut(FileEntry) -> Result<()>,
) -> Result<ListReport> {
    let backup = reading.backup(id)?;
    let total = backup.summary.entries.values().sum();
    let task = reading.progress.task("Listing", Unit::Items, Some(total));
    let mut wanted = Wanted::new(only);
    let mut report = ListReport::default();
    let mut entries = backup.entries()?;
    while let Some(entry) = entries.next()? {
        reading.stop.check()?;
        task.advance(1);
        if !wanted.has(&entry.path()) {
            continue;
        }
        let entry = FileEntry::from(&entry);
        report.entries += 1;
        report.files += u64::from(entry.kind == FileKind::File);
        report.bytes += entry.size;
        each(entry)?;
    }
    wanted.check_all_met(format_args!("the backup {id}"))?;
    task.finish();
    Ok(report)
}
