//! The included folders.

use rusqlite::Connection;

use super::Sql;
use crate::include::not_overlapping;
use crate::{Include, Result};

/// Returns all included folders, sorted by path.
pub(crate) fn list(connection: &Connection) -> Result<Vec<Include>> {
    let mut query =
        connection.prepare("SELECT path, before_hook, after_hook FROM includes ORDER BY path").sql()?;
    let rows = query.query_map([], |row| {
        Ok(Include { path: row.get::<_, String>(0)?.into(), before: row.get(1)?, after: row.get(2)? })
    });
    rows.sql()?.collect::<rusqlite::Result<_>>().sql()
}

/// Adds a checked folder, or replaces the one with the same path. Returns true if it is new.
pub(crate) fn put(connection: &Connection, include: &Include) -> Result<bool> {
    let existing = list(connection)?;
    let same = existing.iter().any(|e| e.path == include.path);
    not_overlapping(&existing, include)?;
    connection
        .execute(
            "INSERT OR REPLACE INTO includes (path, before_hook, after_hook) VALUES (?1, ?2, ?3)",
            (include.path.to_string_lossy(), &include.before, &include.after),
        )
        .sql()?;
    Ok(!same)
}

/// Removes an included folder. Returns true if it existed.
pub(crate) fn remove(connection: &Connection, path: &str) -> Result<bool> {
    Ok(connection.execute("DELETE FROM includes WHERE path = ?1", [path]).sql()? > 0)
}

/// Removes all included folders, and returns them.
pub(crate) fn take(connection: &Connection) -> Result<Vec<Include>> {
    let all = list(connection)?;
    connection.execute("DELETE FROM includes", []).sql()?;
    Ok(all)
}
