//! Restoring a backup on a newly installed machine.

mod state;

use std::fs::File;
use std::path::{Path, PathBuf};

use cloudron_api::ProxyRoute;
pub use cloudron_api::restore::{RestoreAnswer, RestoreRequest};
use cloudron_backup::{Identity, Relocation, Repository, Summary};
use cloudron_core::{Cancel, Progress, atomic};

use crate::api::restore::{DATA, STATE};
use crate::db::blocking;
use crate::front::ROUTES;
use crate::include;
use crate::service::RunFiles;
use crate::settings::{Settings, WorkerSettings};
use crate::system::files;
use crate::system::held::{Held, Staged, give_back};
use crate::system::owner::{as_owner, as_worker, other_owner};
use crate::{Error, Layout, Result, admin, codes};
use state::Folders;

/// File name of the database in a backup's state.
const DATABASE: &str = crate::db::FILE;

/// Returns the folders that a server's backup restores outside its state and data: see
/// [`cloudron_api::restore::beyond`].
#[must_use]
pub fn beyond(summary: &Summary) -> Vec<PathBuf> {
    cloudron_api::restore::beyond(summary.sources.iter().map(|s| (&*s.name, &*s.path)))
}

/// Restores a backup: the database with users, event log and included folders, the data folder, and the
/// included folders at their original paths. This machine's own settings are kept. The server must not run.
/// At the end, everything is read back and compared with the backup, before the database is put in place.
///
/// An interrupted restore can be repeated: files that are already right are left unchanged.
///
/// # Errors
/// `restore-running`, `machine-missing`, `restore-no-state`, `restore-unconfirmed`; of the repository
/// `backup-unknown`, `restore-conflict` before anything is written, `restore-incomplete`, and
/// `restore-differs` if the comparison finds a difference; and errors of the store.
pub async fn restore(
    layout: &Layout,
    request: RestoreRequest,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<RestoreAnswer> {
    let owner = other_owner(layout)?;
    if let Some(owner) = owner {
        give_back(layout, owner)?;
    }
    let (settings, _lock) = as_owner(layout, || {
        let settings = Settings::require(layout)?;
        let lock = RunFiles::of(layout).lock().map_err(|e| match e.is(&codes::ALREADY_RUNNING) {
            true => {
                Error::new(&codes::RESTORE_RUNNING, "the server runs, and a restore replaces its database")
            }
            false => e,
        })?;
        Ok((settings, lock))
    })?;
    let identity = Identity::parse(&request.identity)?;
    let store = as_worker(layout, || WorkerSettings::of_server(layout, &settings))?;
    let repository = Repository::open(crate::store::open(layout, &store)?).await?;
    let summary = repository.find(&request.backup).await?;
    let own = layout.cache().join("restore");
    as_owner(layout, || {
        files::remove_folder(&own)?;
        files::private_folder(&own)
    })?;
    // Root writes only where no other user could have placed a link.
    let (staged, held) = match owner {
        Some(owner) => (Some(Staged::new(layout)?), Some(Held::take(layout, owner)?)),
        None => (None, None),
    };
    let asked = plan(layout, &summary, staged.as_ref().map_or(&own, Staged::path), &request)?;
    let done = repository.restore(&identity, &summary.id, &asked, progress, cancel).await?.complete()?;
    for warning in &done.warnings {
        progress.warn(warning);
    }
    let compared = repository.compare(&identity, &summary.id, &asked, progress, cancel).await?.identical()?;
    drop(held);
    let answer = RestoreAnswer {
        backup: summary.id.clone(),
        files: done.files,
        bytes: done.bytes,
        compared: compared.entries,
    };
    let (layout, told) = (layout.clone(), answer.clone());
    blocking(move || {
        let database = own.join(DATABASE);
        let copy = staged.as_ref().map(|s| File::open(s.path().join(DATABASE))).transpose();
        let copy = copy.map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => state::no_database(&summary),
            _ => Error::io(&database, e),
        })?;
        let restored = staged.as_ref().map_or(&*own, Staged::path);
        let folders = restored.join(include::FILE);
        let routes: Option<Vec<ProxyRoute>> = files::read_json(&restored.join(ROUTES))?;
        let folders =
            Folders { of_backup: files::read_json(&folders)?, of_root: include::roots_list(&layout)? };
        let folders = as_owner(&layout, || {
            if let Some(mut copy) = copy {
                atomic::write_with(&database, 0o600, |file| std::io::copy(&mut copy, file).map(drop))?;
            }
            state::adapt(&layout, &settings, &database, &summary, &told, folders)
        })?;
        // Before the database, so that a restore that is killed never has the new one with the old list.
        include::set_roots_list(&layout, folders)?;
        admin::restore_routes(&layout, routes.unwrap_or_default())?;
        as_owner(&layout, || {
            state::put_in_place(&layout, &settings, &database)?;
            files::remove_folder(&own)
        })
    })
    .await?;
    Ok(answer)
}

/// Returns the target of each source: this machine's folders for state and data, the original path for
/// others.
fn plan(
    layout: &Layout,
    summary: &Summary,
    staged: &Path,
    asked: &RestoreRequest,
) -> Result<cloudron_backup::RestoreRequest> {
    let source = |name: &str| {
        let found = summary.sources.iter().find(|s| s.name == name).map(|s| PathBuf::from(&s.path));
        found.ok_or_else(|| {
            let text = format!("{} does not hold the {name} of a server", summary.id);
            Error::new(&codes::RESTORE_NO_STATE, text)
        })
    };
    if let Some(path) = beyond(summary).iter().find(|path| !asked.paths.contains(path)) {
        let text = format!("{} contains {}, which was not confirmed", summary.id, path.display());
        return Err(Error::new(&codes::RESTORE_UNCONFIRMED, text));
    }
    let mut request = cloudron_backup::RestoreRequest::original();
    request.relocate =
        vec![Relocation::new(source(STATE)?, staged), Relocation::new(source(DATA)?, layout.data())];
    request.overwrite = asked.overwrite;
    Ok(request)
}
