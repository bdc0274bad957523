//! Opening the database file.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::{Sql, schema};
use crate::system::files;
use crate::{Error, Result, codes};

pub(super) fn open(path: &Path, accept: impl FnOnce(&Connection) -> Result<()>) -> Result<Connection> {
    // SQLite gives its -wal and -shm files the mode of the database file, so that one is created first.
    files::open_own(path, OpenOptions::new().append(true).create(true))?;
    let mut connection = Connection::open(path).sql()?;
    connection.busy_timeout(Duration::from_secs(10)).sql()?;
    let sound = prepare(&connection).and_then(|()| check(&connection));
    sound.map_err(|e| if e.is(&codes::DATABASE_CORRUPT) { damaged(path, &e) } else { e })?;
    accept(&connection)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL").sql()?;
    connection.pragma_update(None, "synchronous", "FULL").sql()?;
    connection.pragma_update(None, "foreign_keys", true).sql()?;
    connection.pragma_update(None, "secure_delete", true).sql()?;
    connection.pragma_update(None, "trusted_schema", false).sql()
}

fn check(connection: &Connection) -> Result<()> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).sql()?;
    match answer.as_str() {
        "ok" => Ok(()),
        found => Err(Error::new(&codes::DATABASE_CORRUPT, found.to_owned())),
    }
}

fn damaged(path: &Path, found: &Error) -> Error {
    Error::new(&codes::DATABASE_CORRUPT, format!("{} is damaged: {}", path.display(), found.message()))
}
