//! What the server does in the background: one job at a time, remembered over restarts.

mod backup;
mod hooks;
mod meter;
mod schedule;

pub use backup::is_incomplete;
pub(crate) use cloudron_api::restore::{DATA, STATE};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudron_backup::Summary;
use cloudron_core::{BackupId, Cancel, random};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;

use crate::api::{EventSource, FailedBackup, Job, JobKind, JobState, ProgressReport};
use crate::db::{events, jobs, settings};
use crate::serve::{App, api_error, begin_store_check};
use crate::time::timestamp;
use crate::{Error, Result, codes};

/// When the newest backup was made, in the table of settings.
const LAST_BACKUP: &str = "last-backup";

/// Its id.
const LAST_BACKUP_ID: &str = "last-backup-id";

/// When the machine was installed, as this server saw it first.
pub(crate) const FIRST_START: &str = "first-start";

/// How often the state of a running job is written down.
const WRITE_DOWN: Duration = Duration::from_secs(2);

/// How long a job that was asked to stop is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// The job that runs, or the last one that did.
#[derive(Default)]
pub(crate) struct Jobs {
    current: Mutex<Option<(Job, Cancel)>>,
    over: Notify,
}

impl Jobs {
    fn current(&self) -> std::sync::MutexGuard<'_, Option<(Job, Cancel)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of the job that runs, and gives it.
    fn update(&self, change: impl FnOnce(&mut Job)) -> Option<Job> {
        let mut current = self.current();
        let (job, _) = current.as_mut()?;
        change(job);
        Some(job.clone())
    }

    /// The job that runs.
    fn running(&self) -> Option<(Job, Cancel)> {
        self.current().clone().filter(|(job, _)| !job.state.is_over())
    }

    /// What runs now.
    pub(crate) fn report(&self) -> ProgressReport {
        let mut report = ProgressReport::default();
        if let Some((job, _)) = self.running() {
            match job.kind {
                JobKind::Backup => report.backup = Some(job),
                JobKind::Update => report.update = Some(job),
                JobKind::Restore => report.restore = Some(job),
            }
        }
        report
    }

    /// Asks the job that runs to stop, and waits for it for a while.
    pub(crate) async fn stop(&self) {
        let wait = async {
            loop {
                let over = self.over.notified();
                let Some((_, cancel)) = self.running() else { return };
                cancel.cancel();
                over.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, wait).await;
    }
}

/// The job with that id.
pub(crate) async fn get(app: &App, id: String) -> Result<Option<Job>> {
    // What runs is newer in memory, and a full disk cannot hide it there.
    if let Some((job, _)) = app.jobs.current().clone().filter(|(job, _)| job.id == id) {
        return Ok(Some(job));
    }
    app.db.read_async(move |c| jobs::get(c, &id)).await
}

/// Begins a backup and gives its job.
///
/// # Errors
/// `job-busy`, `machine-retired`, and those of the database.
pub(crate) async fn start_backup(app: &Arc<App>, source: EventSource) -> Result<Job> {
    if app.is_retired().await? {
        return Err(Error::new(&codes::MACHINE_RETIRED, "this server was retired"));
    }
    let cancel = Cancel::new();
    let job = {
        let mut current = app.jobs.current();
        if let Some((job, _)) = current.as_ref().filter(|(job, _)| !job.state.is_over()) {
            let text = format!("a {} runs since {}", kind_name(job.kind), job.created_at);
            return Err(Error::new(&codes::JOB_BUSY, text));
        }
        if app.stopping.is_cancelled() {
            return Err(Error::new(&codes::JOB_BUSY, "the server is stopping"));
        }
        let job = new_job(JobKind::Backup, timestamp(app.now()));
        *current = Some((job.clone(), cancel.clone()));
        job
    };
    // Nothing else runs, so what is still marked as running is a job whose end could not be written down.
    let (stored, now) = (job.clone(), app.now());
    let written =
        app.db.write_async(move |c| close_orphans(c, now).and_then(|_| jobs::put(c, &stored))).await;
    if let Err(error) = written {
        *app.jobs.current() = None;
        return Err(error);
    }
    let task = app.clone();
    tokio::spawn(async move { carry_out(&task, source, cancel).await });
    Ok(job)
}

/// Runs the job that was queued, whatever comes of it.
async fn carry_out(app: &Arc<App>, source: EventSource, cancel: Cancel) {
    let began = timestamp(app.now());
    app.jobs.update(|job| (job.state, job.started_at) = (JobState::Running, Some(began)));
    write_down(app).await;
    let work = {
        let (app, cancel) = (app.clone(), cancel.clone());
        tokio::spawn(async move { backup::run(&app, &source, &cancel).await })
    };
    let noting = async {
        loop {
            tokio::time::sleep(WRITE_DOWN).await;
            write_down(app).await;
            // The owner may have retired the machine on the machine.
            if app.is_retired().await.unwrap_or(false) {
                cancel.cancel();
            }
        }
    };
    let result = tokio::select! {
        result = work => result,
        () = noting => unreachable!("noting goes on until it is dropped"),
    };
    // A panic of the work is a failed job, not a server that says for ever that it runs.
    let result = result.unwrap_or_else(|_| {
        Err(Error::new(&cloudron_core::codes::FAILED, "the job ended by an error in the program"))
    });
    let result = match result {
        Err(e) if e.is(&cloudron_core::codes::INTERRUPTED) && app.stopping.is_cancelled() => {
            Err(Error::new(&codes::JOB_INTERRUPTED, "interrupted by a restart"))
        }
        result => result,
    };
    finish(app, result).await;
    drop(begin_store_check(app));
}

async fn finish(app: &App, result: Result<String>) {
    let now = app.now();
    let made = match &result {
        Ok(_) => true,
        Err(error) => error.is(&codes::BACKUP_INCOMPLETE),
    };
    match &result {
        Ok(message) => tracing::info!(%message, "The job ended well"),
        Err(error) => tracing::error!(code = error.code().name, %error, "The job failed"),
    }
    let job = app.jobs.update(|job| {
        job.finished_at = Some(timestamp(now));
        match result {
            Ok(message) => (job.state, job.percent, job.message) = (JobState::Done, 100, message),
            Err(error) => {
                (job.state, job.message) = (JobState::Failed, error.to_string());
                job.error = Some(api_error(&error));
            }
        }
    });
    let written = app
        .db
        .write_async(move |c| {
            if let Some(job) = &job {
                jobs::put(c, job)?;
            }
            jobs::trim(c)?;
            if !made {
                return Ok(());
            }
            settings::set(c, LAST_BACKUP, &now.to_string())?;
            let id = job.as_ref().and_then(|job| job.backup_id.as_ref());
            id.map_or(Ok(()), |id| settings::set(c, LAST_BACKUP_ID, id.as_str()))
        })
        .await;
    if let Err(error) = written {
        tracing::error!(%error, "The end of the job could not be written down");
    }
    app.jobs.over.notify_waiters();
}

async fn write_down(app: &App) {
    let Some((job, _)) = app.jobs.running() else { return };
    if let Err(error) = app.db.write_async(move |c| jobs::put(c, &job)).await {
        tracing::warn!(%error, "How far the job is could not be written down");
    }
}

fn new_job(kind: JobKind, now: Timestamp) -> Job {
    Job {
        id: random::token(16),
        kind,
        state: JobState::Queued,
        percent: 0,
        message: "Waiting".to_owned(),
        error: None,
        backup_id: None,
        created_at: now,
        started_at: None,
        finished_at: None,
    }
}

fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Backup => "backup",
        JobKind::Update => "update",
        JobKind::Restore => "restore",
    }
}

/// Marks the jobs that a server left running when it was killed, with an event for each. Called before
/// anything runs.
pub(crate) fn close_orphans(c: &rusqlite::Connection, now: i64) -> Result<usize> {
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
pub(crate) fn close_restored(c: &rusqlite::Connection, now: i64, summary: &Summary) -> Result<()> {
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
    settings::set(c, LAST_BACKUP, &summary.time.as_millisecond().to_string())?;
    settings::set(c, LAST_BACKUP_ID, summary.id.as_str())?;
    close_orphans(c, now).map(drop)
}

/// Makes the daily backup, for as long as the server runs.
pub(crate) async fn schedule(app: Arc<App>) {
    let minute = schedule::minute_for(&app.settings.run);
    loop {
        match facts(&app, minute).await {
            Ok(facts) if schedule::is_due(timestamp(app.now()), &facts) => {
                if let Err(error) = start_backup(&app, events::system("cron")).await {
                    tracing::warn!(%error, "The daily backup could not be started");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "It is not known whether a backup is due"),
        }
        tokio::time::sleep(schedule::TICK).await;
    }
}

async fn facts(app: &App, minute: u8) -> Result<schedule::Facts> {
    let (hour, now) = (app.settings.backup_hour, app.now());
    app.db
        .write_async(move |c| {
            let installed = match first_start(c)? {
                Some(time) => time,
                None => {
                    settings::set(c, FIRST_START, &now.to_string())?;
                    timestamp(now)
                }
            };
            let failed = jobs::last_over(c, JobKind::Backup)?.filter(|j| j.state == JobState::Failed);
            let failed = failed.map(|j| j.created_at);
            let retired = settings::get(c, settings::RETIRED)?.is_some();
            Ok(schedule::Facts { last: last_backup(c)?, installed, failed, hour, minute, retired })
        })
        .await
}

/// When the newest backup was made.
pub(crate) fn last_backup(c: &rusqlite::Connection) -> Result<Option<Timestamp>> {
    stored_time(c, LAST_BACKUP)
}

/// The last backup, when it failed or left something out.
pub(crate) fn last_failed(c: &rusqlite::Connection) -> Result<Option<FailedBackup>> {
    let job = jobs::last_over(c, JobKind::Backup)?.filter(|job| job.state == JobState::Failed);
    Ok(job.map(|job| FailedBackup {
        time: job.finished_at.unwrap_or(job.created_at),
        code: job.error.as_ref().map_or_else(String::new, |e| e.code.clone()),
        message: job.message,
    }))
}

/// The id of the newest backup that was made here.
pub(crate) fn last_backup_id(c: &rusqlite::Connection) -> Result<Option<BackupId>> {
    Ok(settings::get(c, LAST_BACKUP_ID)?.and_then(|id| id.parse().ok()))
}

/// When this machine's server first ran.
pub(crate) fn first_start(c: &rusqlite::Connection) -> Result<Option<Timestamp>> {
    stored_time(c, FIRST_START)
}

fn stored_time(c: &rusqlite::Connection, key: &str) -> Result<Option<Timestamp>> {
    Ok(settings::get(c, key)?.and_then(|t| t.parse().ok()).map(timestamp))
}
