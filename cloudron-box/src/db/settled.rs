//! The database of an installed machine. A missing, empty or older database is not mistaken for a new one.
//!
//! A file next to the database records its ID and the position of its event log. Events are only added, so a
//! database with fewer events is an older copy.

use std::path::Path;

use cloudron_core::random;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{Db, Sql, schema, settings};
use crate::settings::Settings;
use crate::system::files;
use crate::{Error, Layout, Result, codes};

/// `database.json`: the record of the database outside of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Marker {
    database: String,
    /// ID of the newest event.
    events: i64,
}

/// Opens the database of an installed machine.
///
/// # Errors
/// `database-lost` if it is missing, empty, a different one, or older than recorded; errors of [`Db::open`].
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

/// Returns true if the write-ahead log may contain changes.
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

/// Reads the database's ID and newest event. Returns `None` if it has no event: every machine has one from
/// its installation.
fn read(connection: &Connection) -> Result<Option<Marker>> {
    let newest = "SELECT id FROM events ORDER BY id DESC LIMIT 1";
    let events: Option<i64> = connection.query_row(newest, [], |row| row.get(0)).optional().sql()?;
    let database = settings::get(connection, settings::DATABASE_ID)?.unwrap_or_default();
    Ok(events.map(|events| Marker { database, events }))
}

/// Makes this database the machine's, with a new ID.
pub(crate) fn adopt(connection: &Connection) -> Result<()> {
    settings::set(connection, settings::DATABASE_ID, &random::token(20))
}

/// Records the machine's database and its newest event, if they changed.
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

/// Removes the record, because the machine gets another database.
pub(crate) fn forget(layout: &Layout) -> Result<()> {
    files::remove_file(&layout.database_marker())
}
