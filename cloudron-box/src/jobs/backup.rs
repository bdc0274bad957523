//! The backup: commands before, a consistent copy of the state, one snapshot, commands after.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cloudron_backup::{BackupRequest, Repository, Source, Summary, WriterKeys};
use cloudron_core::{BackupId, Cancel, Event, Progress, Version};
use serde_json::json;

use super::meter::Meter;
use super::{DATA, STATE, hooks};
use crate::api::EventSource;
use crate::db::{Db, blocking, includes, tokens};
use crate::serve::App;
use crate::{Error, Include, Layout, Result, codes, files};

/// The tag of a backup that lacks a folder, or a folder whose command before it failed. It stands in the summary, so
/// that a list says so which comes from the store alone.
const INCOMPLETE: &str = "incomplete";

/// How many seconds a backup's id may run ahead of the clock, when ids of this second are taken.
const ID_TRIES: u64 = 5;

/// Makes a backup, with events at its beginning and end. Gives a sentence on it.
pub(super) async fn run(app: &Arc<App>, source: &EventSource, cancel: &Cancel) -> Result<String> {
    app.try_event("backup.start", source.clone(), json!({"jobId": job_id(app)})).await;
    let made = make(app, cancel).await;
    let error = match &made {
        Ok((_, issues)) if issues.is_empty() => None,
        Ok((_, issues)) => Some(Error::new(&codes::BACKUP_INCOMPLETE, issues.join("; "))),
        Err(error) => Some(copy(error)),
    };
    let summary = made.as_ref().ok().map(|(summary, _)| summary);
    let data = json!({
        "jobId": job_id(app),
        "id": summary.map(|s| &s.id),
        "files": summary.map(|s| s.files),
        "bytes": summary.map(|s| s.bytes),
        "added": summary.map(|s| s.added_bytes),
        "unreadable": summary.map(|s| s.errors),
        "errorMessage": error.as_ref().map(ToString::to_string),
    });
    app.try_event("backup.finish", source.clone(), data).await;
    let (summary, _) = made?;
    match error {
        Some(error) => Err(error),
        None => Ok(sentence(&summary)),
    }
}

/// Whether something that belongs to a server's backup is missing from it.
pub fn is_incomplete(summary: &Summary) -> bool {
    summary.errors > 0 || summary.tags.iter().any(|tag| tag == INCOMPLETE)
}

/// The same error for a second reader. Its cause stays with the first.
fn copy(error: &Error) -> Error {
    let copy = Error::new(error.code(), error.to_string());
    match error.hint() {
        Some(hint) => copy.with_hint(hint),
        None => copy,
    }
}

fn job_id(app: &App) -> Option<String> {
    app.jobs.running().map(|(job, _)| job.id)
}

fn sentence(summary: &Summary) -> String {
    let unreadable = match summary.errors {
        0 => String::new(),
        n => format!("; {n} changed meanwhile or could not be read"),
    };
    format!("{} files in {}{unreadable}", summary.files, summary.id)
}

/// The snapshot, and what is wrong with it although it was made.
async fn make(app: &Arc<App>, cancel: &Cancel) -> Result<(Summary, Vec<String>)> {
    let folders = app.db.read_async(includes::list).await?;
    let (mut issues, mut ran) = (Vec::new(), Vec::new());
    let mut result = Ok(());
    for include in &folders {
        // Once begun, the command after is owed, also when the one before failed half-way.
        ran.push(include);
        result = before(app, include, cancel, &mut issues).await;
        if result.is_err() {
            break;
        }
    }
    let snapshot = match result {
        Ok(()) => snapshot(app, &folders, cancel, &mut issues).await,
        Err(error) => Err(error),
    };
    for include in ran {
        if let Some(command) = &include.after {
            note(app, format!("Running the command after {}", include.path.display()));
            if let Err(error) = hooks::run("after", command, &include.path, app.tuning.hook_limit).await {
                tracing::error!(%error, "A hook command failed");
                issues.push(error.to_string());
            }
        }
    }
    snapshot.map(|summary| (summary, issues))
}

async fn before(app: &App, include: &Include, cancel: &Cancel, issues: &mut Vec<String>) -> Result<()> {
    cancel.check()?;
    let Some(command) = &include.before else { return Ok(()) };
    note(app, format!("Running the command before {}", include.path.display()));
    let command = hooks::run("before", command, &include.path, app.tuning.hook_limit);
    let result = tokio::select! {
        result = command => result,
        () = cancel.cancelled() => return cancel.check(),
    };
    if let Err(error) = result {
        tracing::error!(%error, "A hook command failed");
        issues.push(format!("{error}; the folder was backed up as it was"));
    }
    Ok(())
}

fn note(app: &App, message: String) {
    app.jobs.update(|job| job.message = message);
}

async fn snapshot(
    app: &Arc<App>,
    folders: &[Include],
    cancel: &Cancel,
    issues: &mut Vec<String>,
) -> Result<Summary> {
    note(app, "Copying the server's state".to_owned());
    let staged = {
        let (db, layout) = (app.db.clone(), app.layout.clone());
        blocking(move || stage(&db, &layout)).await?
    };
    let mut sources = vec![Source::new(STATE, &staged), Source::new(DATA, app.layout.data())];
    for include in folders {
        if include.path.exists() {
            sources.push(Source::new(include.path.to_string_lossy(), &include.path));
        } else {
            issues.push(format!("the included folder {} does not exist", include.path.display()));
        }
    }
    let result = upload(app, sources, !issues.is_empty(), cancel).await;
    let _ = files::remove_folder(&staged);
    result
}

/// Makes a consistent copy of the database in a folder of its own. Tokens are not part of a backup.
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

async fn upload(app: &Arc<App>, sources: Vec<Source>, incomplete: bool, cancel: &Cancel) -> Result<Summary> {
    let keys: WriterKeys = files::read_json(&app.layout.writer_keys())?.ok_or_else(|| {
        let path = app.layout.writer_keys();
        Error::new(&codes::CONFIG_CORRUPT, format!("{} is missing", path.display()))
    })?;
    let repository = Repository::open(crate::store::open(&app.layout, &app.settings)?).await?;
    let progress = progress(app);
    let version = Version::current();
    for later in 0..ID_TRIES {
        let id = BackupId::new(started(app) + Duration::from_secs(later), &version);
        app.jobs.update(|job| job.backup_id = Some(id.clone()));
        let mut request = BackupRequest::new(id, sources.clone());
        request.host = app.settings.fqdn.admin_fqdn();
        request.fqdn = app.settings.fqdn.to_string();
        if incomplete {
            request.tags = vec![INCOMPLETE.into()];
        }
        request.cache_dir = Some(app.layout.cache().join("backup"));
        match repository.backup(&keys, request, &progress, cancel).await {
            Err(e) if e.is(&cloudron_backup::codes::BACKUP_EXISTS) => {}
            result => return result,
        }
    }
    Err(Error::new(
        &cloudron_backup::codes::BACKUP_EXISTS,
        "the store holds a backup for each of the last seconds",
    ))
}

fn started(app: &App) -> SystemTime {
    app.tuning.clock.now()
}

/// Progress that changes the job that runs.
fn progress(app: &Arc<App>) -> Progress {
    let (app, meter) = (app.clone(), Mutex::new(Meter::default()));
    Progress::to(move |event| {
        match event {
            Event::Warning { text } => tracing::warn!(%text, "The backup warns"),
            Event::Note { text } => tracing::info!(%text, "The backup notes"),
            _ => {}
        }
        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
        let (percent, message) = meter.note(event);
        app.jobs.update(|job| {
            job.percent = job.percent.max(percent);
            if !message.is_empty() {
                message.clone_into(&mut job.message);
            }
        });
    })
}
