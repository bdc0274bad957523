//! The folders that are backed up besides the server's own. On a machine of its own they are root's to say, because their
//! commands run there; below one folder they are in the database.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{now, open};
use crate::db::{events, includes, settled};
use crate::include::{self, checked};
use crate::settings::{Settings, WorkerSettings};
use crate::system::owner::{as_owner, as_worker};
use crate::{Error, Include, Layout, Result, codes};

/// Adds a folder to all future backups, or changes the commands of an included folder.
///
/// # Errors
/// `include-invalid`, `machine-missing`, and errors of the database.
pub fn include_add(layout: &Layout, include: Include) -> Result<Include> {
    if layout.is_system() {
        let settings = as_owner(layout, || Settings::require(layout))?;
        let store = as_worker(layout, || WorkerSettings::of_server(layout, &settings))?.store_folder();
        let include = checked(include, layout, store.as_deref())?;
        let mut folders = include::roots_list(layout)?;
        let new = include::put(&mut folders, &include)?;
        include::set_roots_list(layout, folders)?;
        note(layout, &settings, |c| added(c, &include, new))?;
        return Ok(include);
    }
    let (db, settings) = open(layout)?;
    let include = checked(include, layout, settings.store_folder().as_deref())?;
    db.transaction(|c| {
        let new = includes::put(c, &include)?;
        added(c, &include, new)
    })?;
    Ok(include)
}

/// Removes a folder from future backups.
///
/// # Errors
/// `include-missing`, `machine-missing`, and errors of the database.
pub fn include_remove(layout: &Layout, path: &Path) -> Result<()> {
    let path: PathBuf = path.components().collect();
    let missing = || {
        let text = format!("{} is not an included folder", path.display());
        Error::new(&codes::INCLUDE_MISSING, text)
    };
    if layout.is_system() {
        let settings = as_owner(layout, || Settings::require(layout))?;
        let mut folders = include::roots_list(layout)?;
        let before = folders.len();
        folders.retain(|include| include.path != path);
        if folders.len() == before {
            return Err(missing());
        }
        include::set_roots_list(layout, folders)?;
        return note(layout, &settings, |c| removed(c, &path));
    }
    open(layout)?.0.transaction(|c| {
        if !includes::remove(c, &path.to_string_lossy())? {
            return Err(missing());
        }
        removed(c, &path)
    })
}

/// Returns the included folders, sorted by path.
///
/// # Errors
/// `machine-missing`, and errors of the database.
pub fn include_list(layout: &Layout) -> Result<Vec<Include>> {
    if layout.is_system() {
        as_owner(layout, || Settings::require(layout))?;
        return include::roots_list(layout);
    }
    open(layout)?.0.read(includes::list)
}

/// Writes to the event log of a machine of its own.
pub(super) fn note(
    layout: &Layout,
    settings: &Settings,
    event: impl FnOnce(&Connection) -> Result<()> + Send,
) -> Result<()> {
    as_owner(layout, || settled::open(layout, settings)?.transaction(event))
}

/// The commands may contain a password, so the event only records whether there are any.
fn added(c: &Connection, include: &Include, new: bool) -> Result<()> {
    let action = if new { "include.add" } else { "include.update" };
    let data =
        json!({"path": include.path, "before": include.before.is_some(), "after": include.after.is_some()});
    event(c, action, &data)
}

fn removed(c: &Connection, path: &Path) -> Result<()> {
    event(c, "include.remove", &json!({"path": path}))
}

fn event(c: &Connection, action: &str, data: &Value) -> Result<()> {
    events::add(c, now(), action, &events::system("cli"), data)
}
