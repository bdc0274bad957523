//! The users.

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
    /// Returns the name shown in events.
    pub(crate) fn name(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.email)
    }
}

/// Maximum number of networks recorded per user. The least recently used are deleted.
const NETWORKS: u32 = 64;

/// Returns true if the machine has an owner.
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

/// Returns the user with this e-mail address or name.
pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<User>> {
    one(connection, "email = ?1 OR username = ?1", name)
}

/// Returns the user with this ID.
pub(crate) fn get(connection: &Connection, id: &str) -> Result<Option<User>> {
    one(connection, "id = ?1", id)
}

/// Returns the owner of the machine, if the first-time setup is done.
pub(crate) fn owner(connection: &Connection) -> Result<Option<User>> {
    one(connection, "role = ?1", "owner")
}

/// Sets a user's password hash.
pub(crate) fn set_password(connection: &Connection, id: &str, hash: &str) -> Result<()> {
    connection.execute("UPDATE users SET password = ?2 WHERE id = ?1", [id, hash]).sql()?;
    Ok(())
}

/// Returns true if the user has logged in from this network before.
pub(crate) fn knows_network(connection: &Connection, id: &str, network: &str) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM known_networks WHERE user_id = ?1 AND network = ?2)";
    connection.query_row(query, [id, network], |row| row.get(0)).sql()
}

/// Records that the user logged in from this network.
pub(crate) fn note_network(connection: &Connection, id: &str, network: &str, now: i64) -> Result<()> {
    connection
        .execute(
            "INSERT OR REPLACE INTO known_networks (user_id, network, last) VALUES (?1, ?2, ?3)",
            (id, network, now),
        )
        .sql()?;
    connection
        .execute(
            "DELETE FROM known_networks WHERE user_id = ?1 AND network NOT IN
             (SELECT network FROM known_networks WHERE user_id = ?1 ORDER BY last DESC, network LIMIT ?2)",
            (id, NETWORKS),
        )
        .sql()?;
    Ok(())
}

/// Deletes the recorded networks of a user.
pub(crate) fn forget_networks(connection: &Connection, id: &str) -> Result<()> {
    connection.execute("DELETE FROM known_networks WHERE user_id = ?1", [id]).sql()?;
    Ok(())
}

fn one(connection: &Connection, condition: &str, value: &str) -> Result<Option<User>> {
    connection
        .query_row(
            &format!("SELECT id, email, username, display_name, password FROM users WHERE {condition}"),
            [value],
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::for_test;

    #[test]
    fn the_networks_of_a_user_are_remembered_and_bounded() {
        let (_home, db) = for_test();
        let user = User {
            id: "id".into(),
            email: "me@example.com".into(),
            username: None,
            display_name: None,
            password: "old".into(),
        };
        db.transaction(|c| {
            add_owner(c, &user, 0)?;
            for n in 0..NETWORKS + 10 {
                note_network(c, "id", &format!("192.0.2.{n}"), n as i64)?;
            }
            note_network(c, "id", "192.0.2.70", 1000)?;
            assert!(!knows_network(c, "id", "192.0.2.9")? && knows_network(c, "id", "192.0.2.10")?);
            assert!(!knows_network(c, "other", "192.0.2.10")?);
            forget_networks(c, "id")?;
            assert!(!knows_network(c, "id", "192.0.2.10")?);
            set_password(c, "id", "new")?;
            assert_eq!(owner(c)?.unwrap().password, "new");
            assert_eq!(get(c, "id")?.unwrap().email, find(c, "ME@EXAMPLE.COM")?.unwrap().email);
            Ok(())
        })
        .unwrap();
    }
}
