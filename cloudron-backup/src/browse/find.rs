//! Finds the backups that contain matching paths.

use cloudron_core::{ErrorKind, Result, Unit};

use crate::browse::{FindReport, Found};
use crate::files::exclude::Patterns;
use crate::format::summary::Summary;
use crate::snapshot::{FileEntry, Reading, Skipped};

/// Passes every entry of these backups whose path matches one of the patterns to `each`.
pub(crate) fn run(
    reading: &Reading<'_>,
    patterns: &[String],
    backups: &[Summary],
    mut each: impl FnMut(Found) -> Result<()>,
) -> Result<FindReport> {
    let patterns = Patterns::new(patterns)?;
    let total = backups.iter().flat_map(|s| s.entries.values()).sum();
    let task = reading.progress.task("Searching", Unit::Items, Some(total));
    let mut report = FindReport::default();
    for summary in backups {
        let mut matches = 0;
        let mut given = Ok(());
        let searched = search(reading, &patterns, summary, &task, |found| {
            matches += 1;
            given = each(found);
            given.is_ok()
        });
        given?;
        report.matches += matches;
        match searched {
            Ok(()) => {
                report.backups += 1;
                report.backups_with_matches += u64::from(matches > 0);
            }
            // A damaged backup does not hide the others.
            Err(e) if e.kind() == ErrorKind::Corrupt || e.kind() == ErrorKind::NotFound => {
                reading.progress.warn(format!("{} was not searched: {e}", summary.id));
                report.skipped.push(Skipped { backup: summary.id.clone(), reason: e.to_string() });
            }
            Err(e) => return Err(e),
        }
    }
    task.finish();
    Ok(report)
}

/// Searches one backup, until the callback stops it.
fn search(
    reading: &Reading<'_>,
    patterns: &Patterns,
    summary: &Summary,
    task: &cloudron_core::Task,
    mut each: impl FnMut(Found) -> bool,
) -> Result<()> {
    let backup = reading.backup(&summary.id)?;
    let mut entries = backup.entries()?;
    while let Some(entry) = entries.next()? {
        reading.stop.check()?;
        task.advance(1);
        if patterns.matches(&entry.path_bytes())
            && !each(Found { backup: summary.id.clone(), entry: FileEntry::from(&entry) })
        {
            return Ok(());
        }
    }
    Ok(())
}
