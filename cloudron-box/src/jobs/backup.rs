//! The backup job: a consistent copy of the database, and the worker's backup.

use cloudron_api::helper::HookEnd;
use rusqlite::Connection;
use serde_json::json;

use super::queue::{Job, Running};
use crate::api::{self, EventSource, JobKind};
use crate::db::{self, Db, backups, blocking, events, tokens};
use crate::system::files;
use crate::worker::{Made, Said, Working};
use crate::{Error, Layout, Result, codes};

/// A backup of the server.
pub(crate) struct Backup {
    /// The source of the request.
    pub(crate) source: EventSource,
}

impl Job for Backup {
    fn kind(&self) -> JobKind {
        JobKind::Backup
    }

    async fn run(&self, running: &Running) -> Result<String> {
        run(running, &self.source).await
    }

    fn remember(connection: &Connection, ended: &api::Job) -> Result<()> {
        let incomplete = codes::BACKUP_INCOMPLETE.name;
        let made = ended.error.as_ref().is_none_or(|error| error.code == incomplete);
        match ended.finished_at.filter(|_| made) {
            Some(time) => backups::note(connection, time, ended.backup_id.as_ref()),
            None => Ok(()),
        }
    }
}

/// Makes a backup, with events at its start and end. Returns a sentence about it.
async fn run(running: &Running, source: &EventSource) -> Result<String> {
    let state = &running.state;
    state.try_event("backup.start", source.clone(), json!({"jobId": running.id})).await;
    let made = make(running).await;
    let error = match &made {
        Ok(made) if made.issues.is_empty() => None,
        Ok(made) => Some(Error::new(&codes::BACKUP_INCOMPLETE, made.issues.join("; "))),
        Err(error) => Some(copy(error)),
    };
    let summary = made.as_ref().ok();
    let data = json!({
        "jobId": running.id,
        "id": summary.map(|s| &s.id),
        "files": summary.map(|s| s.files),
        "bytes": summary.map(|s| s.bytes),
        "added": summary.map(|s| s.added),
        "unreadable": summary.map(|s| s.unreadable),
        "errorMessage": error.as_ref().map(ToString::to_string),
    });
    state.try_event("backup.finish", source.clone(), data).await;
    let made = made?;
    match error {
        Some(error) => Err(error),
        None => Ok(sentence(&made)),
    }
}

/// Copies an error for a second reader, without its source.
fn copy(error: &Error) -> Error {
    let copy = Error::new(error.code(), error.to_string()).with_details(error.details().clone());
    match error.hint() {
        Some(hint) => copy.with_hint(hint),
        None => copy,
    }
}

fn sentence(made: &Made) -> String {
    let unreadable = match made.unreadable {
        0 => String::new(),
        n => format!("; {n} changed meanwhile or could not be read"),
    };
    format!("{} files in {}{unreadable}", made.files, made.id)
}

/// Has the worker make the backup.
async fn make(running: &Running) -> Result<Made> {
    running.change(|job| job.message = "Copying the server's state".to_owned());
    let (db, layout) = (running.state.db.clone(), running.state.layout.clone());
    blocking(move || stage(&db, &layout)).await?;
    let working = |now: Working| {
        running.change(|job| {
            job.percent = job.percent.max(now.percent);
            job.backup_id = now.backup.or(job.backup_id.take());
            if !now.message.is_empty() {
                job.message = now.message;
            }
        });
    };
    let mut hooks = Vec::new();
    let said = |said: Said| {
        if let Said::Hook { folder, when, end } = &said {
            hooks.push(json!({"jobId": running.id, "path": folder, "when": when, "status": end.status}));
        }
        log(said);
    };
    let made = running.state.worker.back_up(&running.cancel, working, said).await;
    for data in hooks {
        running.state.try_event("helper.hook", events::system("backup"), data).await;
    }
    let _ = files::remove_folder(&running.state.layout.staged_state());
    made
}

/// Makes a consistent copy of the database in a separate folder. Tokens are not part of a backup.
fn stage(db: &Db, layout: &Layout) -> Result<()> {
    let folder = layout.staged_state();
    files::remove_folder(&folder)?;
    for folder in folder.ancestors().take(2).collect::<Vec<_>>().into_iter().rev() {
        files::private_folder(folder)?;
    }
    let copy = folder.join(db::FILE);
    files::write_private(&copy, b"")?;
    db.copy_to(&copy)?;
    Db::open(&copy)?.close_as_single_file(tokens::clear)
}

/// Writes to the server's log what the worker says.
fn log(said: Said) {
    match said {
        Said::Warning(text) => tracing::warn!(%text, "The backup warns"),
        Said::Note(text) => tracing::info!(%text, "The backup notes"),
        Said::HookFailed(error) => tracing::error!(%error, "A hook command failed"),
        Said::Hook { folder, when, end: HookEnd { status, output, errors, .. } } => {
            let when = when.as_str();
            tracing::info!(folder, when, status, output, errors, "A hook command ended");
        }
    }
}
