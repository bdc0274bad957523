//! Jobs that were under way when a server was killed, or when it made the backup that is restored.

use cloudron_backup::Summary;
use rusqlite::Connection;
use serde_json::json;

use super::{backups, events, jobs};
use crate::api::{Job, JobKind, JobState};
use crate::api_error::api_error;
use crate::time::timestamp;
use crate::{Error, Result, codes};

/// Marks the jobs that a server left running when it was killed, with an event for each. Called before
/// anything runs.
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

/// Ends the job that a backup holds of itself: in the copy of the database it still runs, but what is being
/// restored was made by it, so it ended well.
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
