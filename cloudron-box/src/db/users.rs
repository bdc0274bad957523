//! The people who may log in.

use rusqlite::{Connection, OptionalExtension};

use super::Sql;
use crate::Result;

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) username: Option<String>,
    pub(crate) display_name: Option<String>,
    /// The argon2id hash, in PHC form.
    pub(crate) password: String,
}

impl User {
    /// The name that events show.
    pub(crate) fn name(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.email)
    }
}

/// Whether the machine has an owner.
pub(crate) fn any(connection: &Connection) -> Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get(0)).sql()
}

pub(crate) fn add_owner(connection: &Connection, user: &User, now: i64) -> Result<()> {
    connection
        .execute(
            "INSERT INTO users (id, email, username, display_name, password, role, created)
             VALUES (?1, ?2, ?3, ?4, ?5, 'owner', ?6)",
            (&user.id, &user.email, &user.username, &user.display_name, &user.password, now),
        )
        .sql()?;
    Ok(())
}

/// The user with that e-mail address or name.
pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<User>> {
    connection
        .query_row(
            "SELECT id, email, username, display_name, password FROM users WHERE email = ?1 OR username = ?1",
            [name],
            |row| {
                Ok(User {
                    id: row.get(0)?,
                    email: row.get(1)?,
                    username: row.get(2)?,
                    display_name: row.get(3)?,
                    password: row.get(4)?,
                })
            },
        )
        .optional()
        .sql()
}
