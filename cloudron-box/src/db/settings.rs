//! Single values.

use rusqlite::{Connection, OptionalExtension};

use super::Sql;
use crate::Result;

/// Set to when the machine was retired, in milliseconds.
pub(crate) const RETIRED: &str = "retired";

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
