//! Single values.

use rusqlite::{Connection, OptionalExtension};

use super::Sql;
use crate::Result;

/// Time of retirement, in milliseconds.
pub(crate) const RETIRED: &str = "retired";

/// The highest time used to judge tokens, in milliseconds: see [`super::tokens::time`].
pub(crate) const HIGHEST_TIME: &str = "highest-time";

/// ID that distinguishes this database from others: see [`super::settled`].
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
