//! Records of the backups made by this server.

use cloudron_core::BackupId;
use jiff::Timestamp;
use rusqlite::Connection;

use super::{jobs, settings};
use crate::Result;
use crate::api::{FailedBackup, JobKind, JobState};
use crate::time::timestamp;

/// Settings key: time of the latest backup.
const LAST_BACKUP: &str = "last-backup";

/// Settings key: ID of the latest backup.
const LAST_BACKUP_ID: &str = "last-backup-id";

/// Settings key: time of the first start of this machine's server.
pub(crate) const FIRST_START: &str = "first-start";

/// Returns the time of the latest backup.
pub(crate) fn last_backup(c: &Connection) -> Result<Option<Timestamp>> {
    stored_time(c, LAST_BACKUP)
}

/// Returns the last backup, if it failed or is incomplete.
pub(crate) fn last_failed(c: &Connection) -> Result<Option<FailedBackup>> {
    let job = jobs::last_over(c, JobKind::Backup)?.filter(|job| job.state == JobState::Failed);
    Ok(job.map(|job| FailedBackup {
        time: job.finished_at.unwrap_or(job.created_at),
        code: job.error.as_ref().map_or_else(String::new, |e| e.code.clone()),
        message: job.message,
    }))
}

/// Returns the ID of the latest backup made here.
pub(crate) fn last_backup_id(c: &Connection) -> Result<Option<BackupId>> {
    Ok(settings::get(c, LAST_BACKUP_ID)?.and_then(|id| id.parse().ok()))
}

/// Returns the time of the first start of this machine's server.
pub(crate) fn first_start(c: &Connection) -> Result<Option<Timestamp>> {
    stored_time(c, FIRST_START)
}

fn stored_time(c: &Connection, key: &str) -> Result<Option<Timestamp>> {
    Ok(settings::get(c, key)?.and_then(|t| t.parse().ok()).map(timestamp))
}

/// Records the backup that a job made.
pub(crate) fn note(c: &Connection, time: Timestamp, id: Option<&BackupId>) -> Result<()> {
    settings::set(c, LAST_BACKUP, &time.as_millisecond().to_string())?;
    id.map_or(Ok(()), |id| settings::set(c, LAST_BACKUP_ID, id.as_str()))
}
