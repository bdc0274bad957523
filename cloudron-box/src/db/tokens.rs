//! Bearer tokens. Only their SHA-256 is stored: a token has more randomness than its hash can lose, so
//! neither salt nor a slow hash is needed.

use cloudron_core::{Secret, random};
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Sql;
use crate::Result;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A user who logged in.
    Session,
    /// The owner of the machine, on the machine.
    Admin,
    /// The first-time setup, once.
    Setup,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Admin => "admin",
            Self::Setup => "setup",
        }
    }
}

/// A token that is valid.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) admin: bool,
    pub(crate) name: String,
    pub(crate) user_id: Option<String>,
    pub(crate) username: Option<String>,
}

/// A new token: 200 bits, 40 characters.
pub(crate) fn fresh() -> Secret {
    Secret::new(random::token(40))
}

pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Stores a token's hash. Expired ones are dropped on the way.
pub(crate) fn add(
    connection: &Connection,
    token: &Secret,
    kind: Kind,
    (name, user_id): (&str, Option<&str>),
    (now, expires): (i64, i64),
) -> Result<()> {
    connection.execute("DELETE FROM tokens WHERE expires <= ?1", [now]).sql()?;
    connection
        .execute(
            "INSERT INTO tokens (hash, kind, user_id, name, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (hash(token.expose()), kind.name(), user_id, name, now, expires),
        )
        .sql()?;
    Ok(())
}

/// A session's or the machine owner's token, if it is known and not expired.
pub(crate) fn find(connection: &Connection, token: &str, now: i64) -> Result<Option<Token>> {
    let wanted = hash(token);
    let row = connection
        .query_row(
            "SELECT t.hash, t.kind, t.name, t.user_id, coalesce(u.username, u.email) FROM tokens t
             LEFT JOIN users u ON u.id = t.user_id
             WHERE t.hash = ?1 AND t.kind IN ('session', 'admin') AND t.expires > ?2",
            (wanted, now),
            |row| {
                let token = Token {
                    admin: row.get::<_, String>(1)? == "admin",
                    name: row.get(2)?,
                    user_id: row.get(3)?,
                    username: row.get(4)?,
                };
                Ok((row.get::<_, [u8; 32]>(0)?, token))
            },
        )
        .optional()
        .sql()?;
    Ok(row.filter(|(stored, _)| stored.ct_eq(&wanted).into()).map(|(_, token)| token))
}

/// Uses up the setup token. Says whether it was the right one and not expired.
pub(crate) fn take_setup(connection: &Connection, token: &str, now: i64) -> Result<bool> {
    let taken = connection
        .execute("DELETE FROM tokens WHERE hash = ?1 AND kind = 'setup' AND expires > ?2", (hash(token), now))
        .sql()?;
    Ok(taken == 1)
}

/// Makes every setup token worthless.
pub(crate) fn clear_setup(connection: &Connection) -> Result<()> {
    connection.execute("DELETE FROM tokens WHERE kind = 'setup'", []).sql()?;
    Ok(())
}

/// Makes every token worthless.
pub(crate) fn clear(connection: &Connection) -> Result<()> {
    connection.execute("DELETE FROM tokens", []).sql()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::for_test;

    #[test]
    fn a_token_is_known_until_it_expires_and_only_its_hash_is_stored() {
        let (home, db) = for_test();
        let token = fresh();
        db.transaction(|c| add(c, &token, Kind::Admin, ("cli", None), (1000, 2000))).unwrap();
        let known = |now| db.read(|c| find(c, token.expose(), now)).unwrap().is_some();
        assert!(known(1999) && !known(2000));
        assert!(db.read(|c| find(c, fresh().expose(), 1000)).unwrap().is_none());
        drop(db);
        let file = std::fs::read(home.path().join("cloudron.db")).unwrap();
        assert!(!file.windows(40).any(|w| w == token.expose().as_bytes()));
    }

    #[test]
    fn a_setup_token_opens_nothing_else_and_works_once() {
        let (_home, db) = for_test();
        let token = fresh();
        db.transaction(|c| add(c, &token, Kind::Setup, ("setup", None), (0, 9))).unwrap();
        assert!(db.read(|c| find(c, token.expose(), 1)).unwrap().is_none());
        assert!(!db.transaction(|c| take_setup(c, token.expose(), 9)).unwrap());
        assert!(db.transaction(|c| take_setup(c, token.expose(), 1)).unwrap());
        assert!(!db.transaction(|c| take_setup(c, token.expose(), 1)).unwrap());
    }
}
