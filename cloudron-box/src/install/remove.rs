//! Removing a server from a place.

use super::{account, program, store, worker_settings};
use crate::settings::Settings;
use crate::system::files;
use crate::system::owner::{as_owner, as_worker, other_worker};
use crate::{Error, Layout, Result, codes, service};

/// Stops the server and removes everything that [`install`](super::install) created, and the state. The
/// repository in the backup store is only removed if `keep_store` is false and the store is a folder of this
/// machine; other files in that folder are kept. Included folders are kept.
///
/// # Errors
/// `install-command`, `machine-missing` for a folder with other content, and file errors. Parts that do not
/// exist are skipped.
pub fn uninstall(layout: &Layout, keep_store: bool) -> Result<()> {
    let settings = as_owner(layout, || Settings::load(layout))?;
    if settings.is_none() && !looks_like_ours(layout)? {
        let text = format!("{} does not hold a machine", layout.state().display());
        return Err(Error::new(&codes::MACHINE_MISSING, text));
    }
    if layout.is_system() {
        service::disable(layout)?;
    } else {
        service::stop(layout)?;
    }
    let folder = match &settings {
        Some(settings) => worker_settings(layout, settings)?.store_folder(),
        None => None,
    };
    if let (Some(folder), false) = (&folder, keep_store) {
        remove_store(layout, folder)?;
    }
    remove_state(layout, folder.as_deref().filter(|_| keep_store))?;
    if layout.is_system() {
        files::remove_folder(&layout.worker_state())?;
        if let Some(folder) = layout.front_state() {
            files::remove_folder(&folder)?;
        }
        for file in [layout.includes(), layout.front_settings()].into_iter().flatten() {
            files::remove_file(&file)?;
            // Other files in it are kept, and so is then the folder.
            let _ = file.parent().map(std::fs::remove_dir);
        }
        program::remove(layout)?;
        account::remove()?;
    }
    Ok(())
}

/// Removes the repository in the store. Its content is removed with the rights of the worker, since a file of that
/// user names its location.
fn remove_store(layout: &Layout, folder: &std::path::Path) -> Result<()> {
    if other_worker(layout)?.is_none() {
        return store::remove(folder);
    }
    as_worker(layout, || store::remove(folder))?;
    // The owner may lack the right to remove the folder from a parent owned by root. A folder that is not
    // empty is kept.
    let _ = std::fs::remove_dir(folder);
    Ok(())
}

/// Removes the state folder. A store inside it that is kept stays, with its parent folders. The settings are
/// removed last, so that an interrupted removal can be repeated.
fn remove_state(layout: &Layout, kept: Option<&std::path::Path>) -> Result<()> {
    let state = layout.state();
    let entries = match std::fs::read_dir(state) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| Error::io(state, e))?,
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(state, e))?;
        let path = entry.path();
        if path == layout.config() || kept.is_some_and(|k| k.starts_with(&path)) {
            continue;
        }
        let folder = entry.file_type().map_err(|e| Error::io(&path, e))?.is_dir();
        if folder { files::remove_folder(&path)? } else { files::remove_file(&path)? }
    }
    files::remove_file(&layout.config())?;
    if kept.is_none_or(|k| !k.starts_with(state)) {
        files::remove_folder(state)?;
    }
    Ok(())
}

/// Returns true if the folder is missing, empty, or from an interrupted installation.
fn looks_like_ours(layout: &Layout) -> Result<bool> {
    match std::fs::read_dir(layout.state()) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(Error::io(layout.state(), e)),
        Ok(mut entries) => Ok(entries.next().is_none() || layout.secrets().is_dir()),
    }
}
