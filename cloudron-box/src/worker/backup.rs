//! Making a backup: `before` commands, one snapshot of the state, the data and the included folders, `after` commands.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudron_api::helper::Moment;
use cloudron_backup::{BackupRequest, Repository, Source, Summary};
use cloudron_core::{BackupId, Cancel, Event, Progress, Version, atomic};

use super::progress::Meter;
use super::protocol::{Made, Said};
use super::serve::Teller;
use super::{Worker, store};
use crate::api::INCOMPLETE;
use crate::api::restore::{DATA, STATE};
use crate::db::blocking;
use crate::front::{FrontSettings, ROUTES};
use crate::system::files;
use crate::{Error, Include, Layout, Result, codes};

/// Maximum number of seconds by which a backup's ID may be ahead of the clock, if the IDs of this second are
/// taken.
const ID_TRIES: u64 = 5;

/// Returns true if something is missing from a server's backup.
pub(super) fn is_incomplete(summary: &Summary) -> bool {
    summary.errors > 0 || summary.tags.iter().any(|tag| tag == INCOMPLETE)
}

/// Makes the backup, once no other one is made.
pub(super) async fn make(worker: &Arc<Worker>, teller: &Teller, cancel: &Cancel) -> Result<Made> {
    let taken_back = async {
        cancel.cancelled().await;
        cancel.check()
    };
    let _alone = tokio::select! {
        alone = worker.making.lock() => Ok(alone),
        Err(error) = taken_back => Err(error),
    }?;
    let folders = worker.included().await?;
    let (mut issues, mut ran) = (Vec::new(), Vec::new());
    let mut result = Ok(());
    for include in &folders {
        // Once started, the `after` command must run, even if the `before` command failed.
        ran.push(include);
        result = before(worker, include, teller, cancel, &mut issues).await;
        if result.is_err() {
            break;
        }
    }
    let snapshot = match result {
        Ok(()) => snapshot(worker, &folders, teller, cancel, &mut issues).await,
        Err(error) => Err(error),
    };
    for include in ran {
        if let Err(error) = hook(worker, include, Moment::After, teller).await {
            teller.say(Said::HookFailed(error.to_string()));
            issues.push(error.to_string());
        }
    }
    snapshot.map(|summary| Made {
        files: summary.files,
        bytes: summary.bytes,
        added: summary.added_bytes,
        unreadable: summary.errors,
        id: summary.id,
        issues,
    })
}

async fn before(
    worker: &Worker,
    include: &Include,
    teller: &Teller,
    cancel: &Cancel,
    issues: &mut Vec<String>,
) -> Result<()> {
    cancel.check()?;
    let result = tokio::select! {
        result = hook(worker, include, Moment::Before, teller) => result,
        () = cancel.cancelled() => return cancel.check(),
    };
    if let Err(error) = result {
        teller.say(Said::HookFailed(error.to_string()));
        issues.push(format!("{error}; the folder was backed up as it was"));
    }
    Ok(())
}

/// Has a command of the folder run, if it has one, and tells how it ended.
async fn hook(worker: &Worker, include: &Include, when: Moment, teller: &Teller) -> Result<()> {
    let (word, folder) = (when.as_str(), include.path.display());
    let command = if when == Moment::Before { &include.before } else { &include.after };
    if command.is_some() {
        teller.message(format!("Running the command {word} {folder}"));
    }
    let Some(end) = worker.helper.hook(include, when).await? else { return Ok(()) };
    let failed = (!end.success).then(|| {
        let text = format!("the command {word} the backup of {folder} ended with {}", end.status);
        Error::new(&codes::HOOK_FAILED, text)
    });
    teller.say(Said::Hook { folder: folder.to_string(), when, end });
    failed.map_or(Ok(()), Err)
}

async fn snapshot(
    worker: &Arc<Worker>,
    folders: &[Include],
    teller: &Teller,
    cancel: &Cancel,
    issues: &mut Vec<String>,
) -> Result<Summary> {
    let (layout, list) = (worker.layout.clone(), folders.to_vec());
    let staged = blocking(move || stage(&layout, &list)).await?;
    let mut sources = vec![Source::new(STATE, &staged), Source::new(DATA, worker.layout.data())];
    for include in folders {
        if include.path.exists() {
            sources.push(Source::new(include.path.to_string_lossy(), &include.path));
        } else {
            issues.push(format!("the included folder {} does not exist", include.path.display()));
        }
    }
    let result = upload(worker, sources, !issues.is_empty(), teller, cancel).await;
    if worker.layout.is_system() {
        let _ = files::remove_folder(&staged);
    }
    result
}

/// Returns the folder with the server's state for the backup. On a machine of its own it is a copy: the included
/// folders are those of root's list, whatever the interface's database says.
fn stage(layout: &Layout, folders: &[Include]) -> Result<PathBuf> {
    let given = layout.staged_state();
    if !layout.is_system() {
        return Ok(given);
    }
    let staging = layout.worker_cache().join("staging");
    let folder = staging.join(STATE);
    files::remove_folder(&folder)?;
    for folder in [&staging, &folder] {
        files::private_folder(folder)?;
    }
    let name = crate::db::FILE;
    let mut database: File = files::open_own(&given.join(name), OpenOptions::new().read(true))?;
    atomic::write_with(&folder.join(name), 0o600, |copy| io::copy(&mut database, copy).map(drop))?;
    files::write_json(&folder.join(crate::include::FILE), &folders)?;
    if let Some(front) = FrontSettings::load(layout)? {
        files::write_json(&folder.join(ROUTES), &front.routes)?;
    }
    Ok(folder)
}

async fn upload(
    worker: &Arc<Worker>,
    sources: Vec<Source>,
    incomplete: bool,
    teller: &Teller,
    cancel: &Cancel,
) -> Result<Summary> {
    let keys = store::keys(worker).await?;
    let repository = Repository::open(crate::store::open(&worker.layout, &worker.settings)?).await?;
    let progress = progress(teller);
    let version = Version::current();
    for later in 0..ID_TRIES {
        let id = BackupId::new(worker.clock.now() + Duration::from_secs(later), &version);
        teller.change(|working| working.backup = Some(id.clone()));
        let mut request = BackupRequest::new(id, sources.clone());
        request.host = worker.settings.fqdn.admin_fqdn();
        request.fqdn = worker.settings.fqdn.to_string();
        if incomplete {
            request.tags = vec![INCOMPLETE.into()];
        }
        request.cache_dir = Some(worker.layout.worker_cache().join("backup"));
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

/// Returns a receiver of progress that tells how far the backup is.
fn progress(teller: &Teller) -> Progress {
    let (teller, meter) = (teller.clone(), Mutex::new(Meter::default()));
    Progress::to(move |event| {
        match event {
            Event::Warning { text } => teller.say(Said::Warning(text.clone())),
            Event::Note { text } => teller.say(Said::Note(text.clone())),
            _ => {}
        }
        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
        let (percent, message) = meter.note(event);
        teller.change(|working| {
            working.percent = working.percent.max(percent);
            if !message.is_empty() {
                message.clone_into(&mut working.message);
            }
        });
    })
}
