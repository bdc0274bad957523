//! Jobs that were running when a server was killed, or when it made the backup being restored.

use cloudron_backup::Summary;
use rusqlite::Connection;
use serde_json::json;

use super::{backups, events, jobs};
use crate::api::{Job, JobKind, JobState};
use crate::api_error::api_error;
use crate::time::timestamp;
use crate::{Error, Result, codes};

/// Marks jobs left running by a killed server as failed, with an event for each. Called before any job
/// starts.
pub(crate) fn close(c: &Connection, now: i64) -> Result<usize> {
    let orphans = jobs::active(c)?;
    for job in &orphans {
        let error = Error::new(&codes::JOB_INTERRUPTED, "interrupted by a restart");
        let closed = Job {
            state: JobState::Failed,
            message: error.to_string(),
            error: Some(api_error(&error)),
            finished_at: Some(timestamp(now)),
            ..job.clone()
        };
        jobs::put(c, &closed)?;
        let data = json!({"jobId": job.id, "id": job.backup_id, "errorMessage": error.to_string()});
        let action = match job.kind {
            JobKind::Backup => "backup.finish",
            JobKind::Update => "update.finish",
            JobKind::Restore => "restore.finish",
        };
        events::add(c, now, action, &events::system("boot"), &data)?;
    }
    Ok(orphans.len())
}

/// Ends the job of the backup being restored: it is still running in the backup's copy of the database, but
/// it made this backup, so it succeeded.
pub(crate) fn close_restored(c: &Connection, now: i64, summary: &Summary) -> Result<()> {
    for job in jobs::active(c)?.into_iter().filter(|j| j.kind == JobKind::Backup) {
        let data = json!({
            "jobId": job.id, "id": summary.id, "files": summary.files, "bytes": summary.bytes,
            "added": summary.added_bytes, "unreadable": summary.errors, "errorMessage": null,
        });
        let ended = Job {
            state: JobState::Done,
            percent: 100,
            message: format!("{} files in {}", summary.files, summary.id),
            backup_id: Some(summary.id.clone()),
            finished_at: Some(timestamp(now)),
            ..job
        };
        jobs::put(c, &ended)?;
        events::add(c, now, "backup.finish", &events::system("installer"), &data)?;
    }
    backups::note(c, summary.time, Some(&summary.id))?;
    close(c, now).map(drop)
}
