//! Single values.

use rusqlite::{Connection, OptionalExtension};

use super::Sql;
use crate::Result;

/// Set to when the machine was retired, in milliseconds.
pub(crate) const RETIRED: &str = "retired";

/// The highest time by which tokens were judged, in milliseconds: see [`super::tokens::time`].
pub(crate) const HIGHEST_TIME: &str = "highest-time";

/// What tells this database from another one: see [`super::settled`].
pub(crate) const DATABASE_ID: &str = "database-id";

pub(crate) fn get(connection: &Connection, key: &str) -> Result<Option<String>> {
    connection
        .query_row("SELECT value FROM settings WHERE key = ?1", [key], |row| row.get(0))
        .optional()
        .sql()
}

pub(crate) fn set(connection: &Connection, key: &str, value: &str) -> Result<()> {
    connection.execute("INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)", [key, value]).sql()?;
    Ok(())
}

pub(crate) fn remove(connection: &Connection, key: &str) -> Result<()> {
    connection.execute("DELETE FROM settings WHERE key = ?1", [key]).sql()?;
    Ok(())
}
