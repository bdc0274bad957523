//! Bearer tokens. Only their SHA-256 is stored: tokens are random and long enough that neither a salt nor a
//! slow hash is needed.
//!
//! All times are those of [`time`], which never decreases: an expired token stays expired when the clock is
//! set back.

use std::time::Duration;

use cloudron_core::{Secret, random};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Sql, settings};
use crate::Result;
use crate::api::Session;
use crate::time::{later, timestamp};

/// Maximum number of sessions per user. The oldest end first.
const SESSIONS: u32 = 100;

/// The number of bytes of a token's hash used as the public name of its session.
const NAMED_BY: u8 = 8;

/// Maximum lead of the token time over the clock, in milliseconds, that is not taken as a clock set back.
const SLACK: i64 = 5000;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A session of a logged-in user.
    Session,
    /// The owner of the machine, on the machine itself.
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

/// A valid token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) hash: [u8; 32],
    pub(crate) admin: bool,
    /// Time of the last recorded use.
    pub(crate) used: Option<i64>,
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

/// Returns the time used to judge tokens, for a process that has not followed the clock: the clock's time, or
/// the highest recorded one.
pub(crate) fn time(connection: &Connection, clock: i64) -> Result<i64> {
    let noted = settings::get(connection, settings::HIGHEST_TIME)?.and_then(|t| t.parse().ok());
    Ok(noted.map_or(clock, |noted: i64| noted.max(clock)))
}

/// Returns the lead of the token [`time`] over a clock that was set back, in milliseconds. A few seconds
/// count as 0: the two are read one after the other, and the clock may be slewed.
pub(crate) fn lead(time: i64, clock: i64) -> i64 {
    let lead = time - clock;
    if lead > SLACK { lead } else { 0 }
}

/// Returns true if there are expired tokens.
pub(crate) fn any_expired(connection: &Connection, now: i64) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM tokens WHERE expires <= ?1)";
    connection.query_row(query, [now], |row| row.get(0)).sql()
}

/// Removes expired tokens. Returns their number.
pub(crate) fn remove_expired(connection: &Connection, now: i64) -> Result<usize> {
    connection.execute("DELETE FROM tokens WHERE expires <= ?1", [now]).sql()
}

/// The purpose of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    /// The session's user.
    pub(crate) user_id: Option<&'a str>,
}

impl<'a> Purpose<'a> {
    /// Returns the purpose of a token that belongs to no user.
    pub(crate) fn of_nobody(kind: Kind, name: &'a str) -> Self {
        Self { kind, name, user_id: None }
    }
}

/// Validity of a token, in the times of [`time`]: from `from`, until before `until`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// Stores a token's hash, and removes expired tokens.
pub(crate) fn add(connection: &Connection, token: &Secret, purpose: Purpose<'_>, life: Life) -> Result<()> {
    let Purpose { kind, name, user_id } = purpose;
    remove_expired(connection, life.from)?;
    connection
        .execute(
            "INSERT INTO tokens (hash, kind, user_id, name, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (hash(token.expose()), kind.name(), user_id, name, life.from, life.until),
        )
        .sql()?;
    Ok(())
}

/// Returns a session's or the machine owner's token, if it is known and not expired.
pub(crate) fn find(connection: &Connection, token: &str, now: i64) -> Result<Option<Token>> {
    let wanted = hash(token);
    let row = connection
        .query_row(
            "SELECT t.hash, t.kind, t.name, t.user_id, coalesce(u.username, u.email), t.used FROM tokens t
             LEFT JOIN users u ON u.id = t.user_id
             WHERE t.hash = ?1 AND t.kind IN ('session', 'admin') AND t.expires > ?2",
            (wanted, now),
            |row| {
                Ok(Token {
                    hash: row.get(0)?,
                    admin: row.get::<_, String>(1)? == "admin",
                    name: row.get(2)?,
                    user_id: row.get(3)?,
                    username: row.get(4)?,
                    used: row.get(5)?,
                })
            },
        )
        .optional()
        .sql()?;
    Ok(row.filter(|token| token.hash.ct_eq(&wanted).into()))
}

/// Returns true if a session has neither ended nor expired.
pub(crate) fn is_alive(connection: &Connection, hash: &[u8; 32], now: i64) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM tokens WHERE hash = ?1 AND expires > ?2)";
    connection.query_row(query, (hash, now), |row| row.get(0)).sql()
}

/// A login: the user, and the client's address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) address: &'a str,
}

/// Adds a session for a user. If there are too many, the oldest end.
pub(crate) fn add_session(
    connection: &Connection,
    token: &Secret,
    login: Login<'_>,
    life: Life,
) -> Result<()> {
    let Login { user_id, address } = login;
    let purpose = Purpose { kind: Kind::Session, name: "login", user_id: Some(user_id) };
    add(connection, token, purpose, life)?;
    note_use(connection, &hash(token.expose()), address, life.from)?;
    connection
        .execute(
            "DELETE FROM tokens WHERE kind = 'session' AND user_id = ?1 AND hash NOT IN
             (SELECT hash FROM tokens WHERE kind = 'session' AND user_id = ?1
              ORDER BY created DESC, rowid DESC LIMIT ?2)",
            (user_id, SESSIONS),
        )
        .sql()?;
    Ok(())
}

/// Records the time and address of a token's use.
pub(crate) fn note_use(connection: &Connection, hash: &[u8; 32], address: &str, now: i64) -> Result<()> {
    connection
        .execute("UPDATE tokens SET used = ?2, address = ?3 WHERE hash = ?1", (hash, now, address))
        .sql()?;
    Ok(())
}

/// Returns the sessions, newest first, of a user or of all. Their times are converted to the clock, which
/// [`time`] leads by `lead`.
pub(crate) fn sessions(connection: &Connection, user_id: Option<&str>, lead: i64) -> Result<Vec<Session>> {
    let mut query = connection
        .prepare(
            "SELECT t.hash, coalesce(u.username, u.email), t.created, t.expires, t.used, t.address
             FROM tokens t LEFT JOIN users u ON u.id = t.user_id
             WHERE t.kind = 'session' AND (?1 IS NULL OR t.user_id = ?1) ORDER BY t.created DESC, t.rowid DESC",
        )
        .sql()?;
    let shown = |time: i64| timestamp(time - lead);
    let rows = query.query_map([user_id], |row| {
        Ok(Session {
            id: session_name(&row.get(0)?),
            username: row.get(1)?,
            created_at: shown(row.get(2)?),
            expires_at: shown(row.get(3)?),
            used_at: row.get::<_, Option<i64>>(4)?.map(shown),
            address: row.get(5)?,
            current: false,
        })
    });
    rows.sql()?.collect::<rusqlite::Result<_>>().sql()
}

/// Returns the public name of a session. It reveals nothing about the token.
pub(crate) fn session_name(hash: &[u8; 32]) -> String {
    hex::encode(&hash[..usize::from(NAMED_BY)])
}

/// Ends a session by its public name: one of a user, or any. Returns true if it existed.
pub(crate) fn end_session(connection: &Connection, name: &str, user_id: Option<&str>) -> Result<bool> {
    let ended = connection
        .execute(
            "DELETE FROM tokens WHERE kind = 'session' AND lower(hex(substr(hash, 1, ?3))) = ?1
             AND (?2 IS NULL OR user_id = ?2)",
            (name, user_id, NAMED_BY),
        )
        .sql()?;
    Ok(ended > 0)
}

/// Ends the sessions of a user, or of all, except the one to keep. Returns their number.
pub(crate) fn end_sessions(
    connection: &Connection,
    user_id: Option<&str>,
    kept: Option<&[u8; 32]>,
) -> Result<usize> {
    connection
        .execute(
            "DELETE FROM tokens WHERE kind = 'session' AND (?1 IS NULL OR user_id = ?1)
             AND (?2 IS NULL OR hash <> ?2)",
            (user_id, kept),
        )
        .sql()
}

/// Returns true if this is the setup token and it has not expired.
pub(crate) fn is_setup(connection: &Connection, token: &str, now: i64) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM tokens WHERE hash = ?1 AND kind = 'setup' AND expires > ?2)";
    connection.query_row(query, (hash(token), now), |row| row.get(0)).sql()
}

/// Consumes the setup token. Returns true if it was right and not expired.
pub(crate) fn take_setup(connection: &Connection, token: &str, now: i64) -> Result<bool> {
    let taken = connection
        .execute("DELETE FROM tokens WHERE hash = ?1 AND kind = 'setup' AND expires > ?2", (hash(token), now))
        .sql()?;
    Ok(taken == 1)
}

/// Invalidates all setup tokens.
pub(crate) fn clear_setup(connection: &Connection) -> Result<()> {
    connection.execute("DELETE FROM tokens WHERE kind = 'setup'", []).sql()?;
    Ok(())
}

/// Invalidates all tokens.
pub(crate) fn clear(connection: &Connection) -> Result<()> {
    connection.execute("DELETE FROM tokens", []).sql()?;
    Ok(())
}

/// Lifetime of a setup token.
const SETUP_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Makes a token for the first-time setup and invalidates the previous one.
pub(crate) fn fresh_setup_token(c: &Connection, now: i64) -> Result<(Secret, Timestamp)> {
    let (token, time) = (Secret::new(random::token(32)), time(c, now)?);
    clear_setup(c)?;
    let life = Life { from: time, until: later(time, SETUP_LIFE) };
    add(c, &token, Purpose::of_nobody(Kind::Setup, "setup"), life)?;
    Ok((token, timestamp(later(now, SETUP_LIFE))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::for_test;

    #[test]
    fn a_token_is_known_until_it_expires_and_only_its_hash_is_stored() {
        let (home, db) = for_test();
        let token = fresh();
        let (purpose, life) = (Purpose::of_nobody(Kind::Admin, "cli"), Life { from: 1000, until: 2000 });
        db.transaction(|c| add(c, &token, purpose, life)).unwrap();
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
        let (purpose, life) = (Purpose::of_nobody(Kind::Setup, "setup"), Life { from: 0, until: 9 });
        db.transaction(|c| add(c, &token, purpose, life)).unwrap();
        assert!(db.read(|c| find(c, token.expose(), 1)).unwrap().is_none());
        assert!(!db.transaction(|c| take_setup(c, token.expose(), 9)).unwrap());
        assert!(db.read(|c| is_setup(c, token.expose(), 8)).unwrap());
        assert!(!db.read(|c| Ok(is_setup(c, token.expose(), 9)? || is_setup(c, "guess", 1)?)).unwrap());
        assert!(db.transaction(|c| take_setup(c, token.expose(), 1)).unwrap());
        assert!(!db.transaction(|c| take_setup(c, token.expose(), 1)).unwrap());
    }

    #[test]
    fn two_readings_of_one_clock_are_no_lead() {
        assert_eq!([lead(1, 0), lead(0, 1), lead(SLACK, 0), lead(3_600_000, 0)], [0, 0, 0, 3_600_000]);
    }

    #[test]
    fn sessions_are_named_ended_and_bounded() {
        let (_home, db) = for_test();
        db.transaction(|c| {
            let user = |id: &str| crate::db::users::User {
                id: id.into(),
                email: format!("{id}@example.com"),
                username: None,
                display_name: None,
                password: String::new(),
            };
            crate::db::users::add_owner(c, &user("one"), 0)?;
            crate::db::users::add_owner(c, &user("two"), 0)?;
            for n in 0..i64::from(SESSIONS) + 20 {
                add_session(
                    c,
                    &fresh(),
                    Login { user_id: "one", address: "192.0.2.1" },
                    Life { from: n, until: 9999 },
                )?;
            }
            let (kept, other) = (fresh(), fresh());
            add_session(
                c,
                &kept,
                Login { user_id: "one", address: "192.0.2.1" },
                Life { from: 900, until: 9999 },
            )?;
            add_session(
                c,
                &other,
                Login { user_id: "two", address: "192.0.2.2" },
                Life { from: 901, until: 9999 },
            )?;
            assert_eq!(sessions(c, Some("one"), 0)?.len(), 100);
            let newest = &sessions(c, None, 0)?[0];
            assert_eq!(
                (newest.username.as_deref(), newest.address.as_deref()),
                (Some("two@example.com"), Some("192.0.2.2"))
            );
            assert!(!end_session(c, &newest.id, Some("one"))?, "a session of somebody else");
            assert_eq!(end_sessions(c, Some("one"), Some(&hash(kept.expose())))?, 99);
            assert!(find(c, kept.expose(), 950)?.is_some() && find(c, other.expose(), 950)?.is_some());
            assert!(end_session(c, &newest.id, None)? && find(c, other.expose(), 950)?.is_none());
            assert!(!end_session(c, &newest.id, None)?);
            Ok(())
        })
        .unwrap();
    }
}
