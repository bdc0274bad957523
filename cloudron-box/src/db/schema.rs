//! The tables, and their migrations.

use rusqlite::Connection;

use super::Sql;
use crate::{Error, Result, codes};

/// Entry `n` migrates the tables from version `n` to `n + 1`.
const STEPS: &[&str] = &["
    CREATE TABLE users (
        id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE COLLATE NOCASE, username TEXT UNIQUE COLLATE NOCASE,
        display_name TEXT, password TEXT NOT NULL, role TEXT NOT NULL, created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE tokens (
        hash BLOB PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('session', 'admin', 'setup')),
        user_id TEXT REFERENCES users (id) ON DELETE CASCADE, name TEXT NOT NULL,
        created INTEGER NOT NULL, expires INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, action TEXT NOT NULL, source TEXT NOT NULL, data TEXT NOT NULL,
        time INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX events_by_action ON events (action, id);
    CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
    CREATE TRIGGER events_keep BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, percent INTEGER NOT NULL,
        message TEXT NOT NULL, error TEXT, backup_id TEXT, created INTEGER NOT NULL, started INTEGER,
        finished INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX one_job_at_a_time ON jobs ((1)) WHERE state IN ('queued', 'running');
    CREATE TABLE includes (path TEXT PRIMARY KEY, before_hook TEXT, after_hook TEXT) STRICT;
    CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
", "
    ALTER TABLE tokens ADD COLUMN address TEXT;
    ALTER TABLE tokens ADD COLUMN used INTEGER;
    CREATE TABLE known_networks (
        user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE, network TEXT NOT NULL,
        last INTEGER NOT NULL, PRIMARY KEY (user_id, network)
    ) STRICT;
", "
    DROP TRIGGER events_keep;
    CREATE TRIGGER events_keep BEFORE UPDATE ON events
    WHEN old.action <> 'user.login.failed' OR new.id <> old.id OR new.action <> old.action
        OR new.source <> old.source OR new.time <> old.time
        OR json_remove(new.data, '$.count') <> json_remove(old.data, '$.count')
        OR coalesce(new.data ->> '$.count' < old.data ->> '$.count', 1)
    BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
"];

/// Returns true if nothing was ever stored.
pub(super) fn is_empty(connection: &Connection) -> Result<bool> {
    Ok(version(connection)? == 0)
}

pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    // Checked without a transaction first: opening an up-to-date database must not write, so that it works on
    // a full disk.
    if version(connection)? == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).sql()?;
    for step in &STEPS[version(&transaction)?..] {
        transaction.execute_batch(step).sql()?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as i64).sql()?;
    transaction.commit().sql()
}

/// Returns the version of the tables.
fn version(connection: &Connection) -> Result<usize> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).sql()?;
    usize::try_from(found).ok().filter(|v| *v <= STEPS.len()).ok_or_else(|| {
        let text = format!("its tables have version {found}, this program knows up to {}", STEPS.len());
        Error::new(&codes::DATABASE_NEWER, text)
    })
}

#[cfg(test)]
mod tests {
    use crate::codes;
    use crate::db::{Db, Sql, for_test};

    #[test]
    fn a_database_of_a_newer_version_is_refused_and_stays_as_it_is() {
        let (home, db) = for_test();
        db.read(|c| c.pragma_update(None, "user_version", 99).sql()).unwrap();
        drop(db);
        let path = home.path().join("cloudron.db");
        assert!(Db::open(&path).err().unwrap().is(&codes::DATABASE_NEWER));
        assert!(Db::open(&path).err().unwrap().is(&codes::DATABASE_NEWER));
    }

    #[test]
    fn a_damaged_database_is_named_and_not_touched() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cloudron.db");
        let garbage = [b"not a database at all ".as_slice(); 200].concat();
        std::fs::write(&path, &garbage).unwrap();
        let error = Db::open(&path).err().unwrap();
        assert!(error.is(&codes::DATABASE_CORRUPT), "{error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), garbage);
    }

    #[test]
    fn a_database_with_a_damaged_page_is_refused() {
        let (home, db) = for_test();
        db.transaction(|c| c.execute("INSERT INTO settings VALUES ('a', 'b')", []).sql()).unwrap();
        drop(db);
        let path = home.path().join("cloudron.db");
        let mut bytes = std::fs::read(&path).unwrap();
        for byte in &mut bytes[4096..8192] {
            *byte = 0x5a;
        }
        std::fs::write(&path, bytes).unwrap();
        assert!(Db::open(&path).err().unwrap().is(&codes::DATABASE_CORRUPT));
    }

    #[test]
    fn every_file_of_the_database_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (home, db) = for_test();
        db.transaction(|c| c.execute("INSERT INTO settings VALUES ('a', 'b')", []).sql()).unwrap();
        for entry in std::fs::read_dir(home.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
        drop(db);
    }
}
