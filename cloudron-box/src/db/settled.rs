//! The database of a machine that was installed: what is missing, empty or older than what was there is not taken
//! for a new one.
//!
//! Beside the database lies a file that says which database it is and how far its event log was. Events are only
//! added, so a database with fewer of them is an older copy.

use std::path::Path;

use cloudron_core::random;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{Db, Sql, schema, settings};
use crate::settings::Settings;
use crate::system::files;
use crate::{Error, Layout, Result, codes};

/// `database.json`: what is known of the database outside of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Marker {
    database: String,
    /// The id of the newest event.
    events: i64,
}

/// Opens the database of a machine that was installed.
///
/// # Errors
/// `database-lost` when it is missing, empty, another one, or older than it was; those of [`Db::open`].
pub(crate) fn open(layout: &Layout, settings: &Settings) -> Result<Db> {
    let path = layout.database();
    let lost = |what: String| lost(settings, &path, &what);
    match std::fs::symlink_metadata(&path) {
        Ok(found) if !found.is_file() => return Err(lost("is not a file".to_owned())),
        Ok(found) if found.len() == 0 && !has_log(&path) => return Err(lost("is empty".to_owned())),
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(lost("is missing".to_owned())),
        Err(e) => return Err(Error::io(&path, e)),
    }
    let db = Db::open_if(&path, |c| match schema::is_empty(c)? {
        true => Err(lost("is empty".to_owned())),
        false => Ok(()),
    })
    .map_err(|e| if e.is(&codes::DATABASE_CORRUPT) { with_way_out(e, settings) } else { e })?;
    let known: Option<Marker> =
        files::read_json(&layout.database_marker()).map_err(|e| with_way_out(e, settings))?;
    let found = db.read(read)?;
    match (known, found) {
        (_, None) => Err(lost("has an empty event log".to_owned())),
        (Some(known), Some(found)) if found.database != known.database => {
            Err(lost("is not the database that was there".to_owned()))
        }
        (Some(known), Some(found)) if found.events < known.events => Err(lost(format!(
            "is older than it was: its newest event is {}, and {} was written",
            found.events, known.events
        ))),
        _ => Ok(db),
    }
}

/// Whether what was written to the database may be in its log.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|m| m.len() > 0)
}

fn lost(settings: &Settings, path: &Path, what: &str) -> Error {
    let text = format!("the database {} {what}", path.display());
    with_way_out(Error::new(&codes::DATABASE_LOST, text), settings)
}

fn with_way_out(error: Error, settings: &Settings) -> Error {
    error.with_hint(format!(
        "`cloudron machine repair-database {}` gets the server going again",
        settings.fqdn
    ))
}

/// What the database says of itself. None when it has no event, which every machine has from its installation.
fn read(connection: &Connection) -> Result<Option<Marker>> {
    let newest = "SELECT id FROM events ORDER BY id DESC LIMIT 1";
    let events: Option<i64> = connection.query_row(newest, [], |row| row.get(0)).optional().sql()?;
    let database = settings::get(connection, settings::DATABASE_ID)?.unwrap_or_default();
    Ok(events.map(|events| Marker { database, events }))
}

/// Makes this database the one of the machine: it gets an id that no earlier one has.
pub(crate) fn adopt(connection: &Connection) -> Result<()> {
    settings::set(connection, settings::DATABASE_ID, &random::token(20))
}

/// Writes down which database the machine has and how far it is, if that changed.
pub(crate) fn note(layout: &Layout, db: &Db) -> Result<()> {
    if db.read(|c| settings::get(c, settings::DATABASE_ID))?.is_none() {
        db.transaction(adopt)?;
    }
    let Some(now) = db.read(read)? else { return Ok(()) };
    let path = layout.database_marker();
    if files::read_json::<Marker>(&path).ok().flatten().as_ref() == Some(&now) {
        return Ok(());
    }
    files::write_json(&path, &now)
}

/// Forgets which database the machine had, because it gets another one.
pub(crate) fn forget(layout: &Layout) -> Result<()> {
    files::remove_file(&layout.database_marker())
}
