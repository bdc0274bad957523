//! What is remembered of the backups that this server made.

use cloudron_core::BackupId;
use jiff::Timestamp;
use rusqlite::Connection;

use super::{jobs, settings};
use crate::Result;
use crate::api::{FailedBackup, JobKind, JobState};
use crate::time::timestamp;

/// When the newest backup was made, in the table of settings.
const LAST_BACKUP: &str = "last-backup";

/// Its id.
const LAST_BACKUP_ID: &str = "last-backup-id";

/// When the machine was installed, as this server saw it first.
pub(crate) const FIRST_START: &str = "first-start";

/// When the newest backup was made.
pub(crate) fn last_backup(c: &Connection) -> Result<Option<Timestamp>> {
    stored_time(c, LAST_BACKUP)
}

/// The last backup, when it failed or left something out.
pub(crate) fn last_failed(c: &Connection) -> Result<Option<FailedBackup>> {
    let job = jobs::last_over(c, JobKind::Backup)?.filter(|job| job.state == JobState::Failed);
    Ok(job.map(|job| FailedBackup {
        time: job.finished_at.unwrap_or(job.created_at),
        code: job.error.as_ref().map_or_else(String::new, |e| e.code.clone()),
        message: job.message,
    }))
}

/// The id of the newest backup that was made here.
pub(crate) fn last_backup_id(c: &Connection) -> Result<Option<BackupId>> {
    Ok(settings::get(c, LAST_BACKUP_ID)?.and_then(|id| id.parse().ok()))
}

/// When this machine's server first ran.
pub(crate) fn first_start(c: &Connection) -> Result<Option<Timestamp>> {
    stored_time(c, FIRST_START)
}

fn stored_time(c: &Connection, key: &str) -> Result<Option<Timestamp>> {
    Ok(settings::get(c, key)?.and_then(|t| t.parse().ok()).map(timestamp))
}

/// Remembers the backup that a job made.
pub(crate) fn note(c: &Connection, time: Timestamp, id: Option<&BackupId>) -> Result<()> {
    settings::set(c, LAST_BACKUP, &time.as_millisecond().to_string())?;
    id.map_or(Ok(()), |id| settings::set(c, LAST_BACKUP_ID, id.as_str()))
}
