//! The backup job: `before` commands, a consistent copy of the state, one snapshot, `after` commands.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cloudron_backup::{BackupRequest, Repository, Source, Summary, WriterKeys};
use cloudron_core::{BackupId, Event, Progress, Version};
use rusqlite::Connection;
use serde_json::json;

use super::hooks;
use super::progress::Meter;
use super::queue::{Job, Running};
use crate::api::restore::{DATA, STATE};
use crate::api::{self, EventSource, INCOMPLETE, JobKind};
use crate::db::{Db, backups, blocking, includes, tokens};
use crate::state::State;
use crate::system::files;
use crate::{Error, Include, Layout, Result, codes};

/// Maximum number of seconds by which a backup's ID may be ahead of the clock, if the IDs of this second are
/// taken.
const ID_TRIES: u64 = 5;

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
        Ok((_, issues)) if issues.is_empty() => None,
        Ok((_, issues)) => Some(Error::new(&codes::BACKUP_INCOMPLETE, issues.join("; "))),
        Err(error) => Some(copy(error)),
    };
    let summary = made.as_ref().ok().map(|(summary, _)| summary);
    let data = json!({
        "jobId": running.id,
        "id": summary.map(|s| &s.id),
        "files": summary.map(|s| s.files),
        "bytes": summary.map(|s| s.bytes),
        "added": summary.map(|s| s.added_bytes),
        "unreadable": summary.map(|s| s.errors),
        "errorMessage": error.as_ref().map(ToString::to_string),
    });
    state.try_event("backup.finish", source.clone(), data).await;
    let (summary, _) = made?;
    match error {
        Some(error) => Err(error),
        None => Ok(sentence(&summary)),
    }
}

/// Returns true if something is missing from a server's backup.
pub(crate) fn is_incomplete(summary: &Summary) -> bool {
    summary.errors > 0 || summary.tags.iter().any(|tag| tag == INCOMPLETE)
}

/// Copies an error for a second reader, without its source.
fn copy(error: &Error) -> Error {
    let copy = Error::new(error.code(), error.to_string()).with_details(error.details().clone());
    match error.hint() {
        Some(hint) => copy.with_hint(hint),
        None => copy,
    }
}

fn sentence(summary: &Summary) -> String {
    let unreadable = match summary.errors {
        0 => String::new(),
        n => format!("; {n} changed meanwhile or could not be read"),
    };
    format!("{} files in {}{unreadable}", summary.files, summary.id)
}

/// Makes the snapshot. Returns its summary, and the problems that did not prevent it.
async fn make(running: &Running) -> Result<(Summary, Vec<String>)> {
    let state = &running.state;
    let folders = state.db.read_async(includes::list).await?;
    let (mut issues, mut ran) = (Vec::new(), Vec::new());
    let mut result = Ok(());
    for include in &folders {
        // Once started, the `after` command must run, even if the `before` command failed.
        ran.push(include);
        result = before(running, include, &mut issues).await;
        if result.is_err() {
            break;
        }
    }
    let snapshot = match result {
        Ok(()) => snapshot(running, &folders, &mut issues).await,
        Err(error) => Err(error),
    };
    for include in ran {
        if let Some(command) = &include.after {
            note(running, format!("Running the command after {}", include.path.display()));
            if let Err(error) = hooks::run("after", command, &include.path, state.tuning.hook_limit).await {
                tracing::error!(%error, "A hook command failed");
                issues.push(error.to_string());
            }
        }
    }
    snapshot.map(|summary| (summary, issues))
}

async fn before(running: &Running, include: &Include, issues: &mut Vec<String>) -> Result<()> {
    running.cancel.check()?;
    let Some(command) = &include.before else { return Ok(()) };
    note(running, format!("Running the command before {}", include.path.display()));
    let command = hooks::run("before", command, &include.path, running.state.tuning.hook_limit);
    let result = tokio::select! {
        result = command => result,
        () = running.cancel.cancelled() => return running.cancel.check(),
    };
    if let Err(error) = result {
        tracing::error!(%error, "A hook command failed");
        issues.push(format!("{error}; the folder was backed up as it was"));
    }
    Ok(())
}

fn note(running: &Running, message: String) {
    running.change(|job| job.message = message);
}

async fn snapshot(running: &Running, folders: &[Include], issues: &mut Vec<String>) -> Result<Summary> {
    note(running, "Copying the server's state".to_owned());
    let staged = {
        let state = &running.state;
        let (db, layout) = (state.db.clone(), state.layout.clone());
        blocking(move || stage(&db, &layout)).await?
    };
    let mut sources = vec![Source::new(STATE, &staged), Source::new(DATA, running.state.layout.data())];
    for include in folders {
        if include.path.exists() {
            sources.push(Source::new(include.path.to_string_lossy(), &include.path));
        } else {
            issues.push(format!("the included folder {} does not exist", include.path.display()));
        }
    }
    let result = upload(running, sources, !issues.is_empty()).await;
    let _ = files::remove_folder(&staged);
    result
}

/// Makes a consistent copy of the database in a separate folder. Tokens are not part of a backup.
fn stage(db: &Db, layout: &Layout) -> Result<PathBuf> {
    let folder = layout.cache().join("staging").join(STATE);
    files::remove_folder(&folder)?;
    files::private_folder(&layout.cache().join("staging"))?;
    files::private_folder(&folder)?;
    let copy = folder.join("cloudron.db");
    files::write_private(&copy, b"")?;
    db.copy_to(&copy)?;
    Db::open(&copy)?.close_as_single_file(tokens::clear)?;
    Ok(folder)
}

async fn upload(running: &Running, sources: Vec<Source>, incomplete: bool) -> Result<Summary> {
    let state = &running.state;
    let keys: WriterKeys = files::read_json(&state.layout.writer_keys())?.ok_or_else(|| {
        let path = state.layout.writer_keys();
        Error::new(&codes::CONFIG_CORRUPT, format!("{} is missing", path.display()))
    })?;
    let repository = Repository::open(crate::store::open(&state.layout, &state.settings)?).await?;
    let progress = progress(running);
    let version = Version::current();
    for later in 0..ID_TRIES {
        let id = BackupId::new(started(state) + Duration::from_secs(later), &version);
        running.change(|job| job.backup_id = Some(id.clone()));
        let mut request = BackupRequest::new(id, sources.clone());
        request.host = state.settings.fqdn.admin_fqdn();
        request.fqdn = state.settings.fqdn.to_string();
        if incomplete {
            request.tags = vec![INCOMPLETE.into()];
        }
        request.cache_dir = Some(state.layout.cache().join("backup"));
        match repository.backup(&keys, request, &progress, &running.cancel).await {
            Err(e) if e.is(&cloudron_backup::codes::BACKUP_EXISTS) => {}
            result => return result,
        }
    }
    Err(Error::new(
        &cloudron_backup::codes::BACKUP_EXISTS,
        "the store holds a backup for each of the last seconds",
    ))
}

fn started(state: &State) -> SystemTime {
    state.tuning.clock.now()
}

/// Returns a receiver of progress that updates the running job.
fn progress(running: &Running) -> Progress {
    let (running, meter) = (running.clone(), Mutex::new(Meter::default()));
    Progress::to(move |event| {
        match event {
            Event::Warning { text } => tracing::warn!(%text, "The backup warns"),
            Event::Note { text } => tracing::info!(%text, "The backup notes"),
            _ => {}
        }
        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
        let (percent, message) = meter.note(event);
        running.change(|job| {
            job.percent = job.percent.max(percent);
            if !message.is_empty() {
                message.clone_into(&mut job.message);
            }
        });
    })
}
