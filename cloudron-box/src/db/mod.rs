//! The server's database: one SQLite connection behind a lock, used outside the async runtime.

pub(crate) mod backups;
pub(crate) mod events;
pub(crate) mod includes;
pub(crate) mod interrupted;
pub(crate) mod jobs;
mod open;
mod schema;
pub(crate) mod settings;
pub(crate) mod settled;
pub(crate) mod spare_space;
pub(crate) mod tokens;
pub(crate) mod users;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode};

use crate::{Error, Result, codes};

/// File name of the database in the state of a backup.
pub(crate) const FILE: &str = "cloudron.db";

/// The database. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Db(Arc<Mutex<Connection>>);

impl Db {
    /// Opens the database, creates it if missing, and migrates its tables.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::open_if(path, |_| Ok(()))
    }

    /// Opens the database like [`open`](Self::open), after a check of the existing tables. If the check
    /// fails, nothing is written.
    pub(crate) fn open_if(path: &Path, check: impl FnOnce(&Connection) -> Result<()>) -> Result<Self> {
        let connection = open::open(path, check).map_err(|e| e.while_doing("opening the database"))?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs `work` in one transaction, on this thread. An error rolls it back.
    pub(crate) fn transaction<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        // A panic while holding the lock rolled its transaction back, so the connection is still usable.
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).sql()?;
        let value = work(&transaction)?;
        transaction.commit().sql()?;
        Ok(value)
    }

    /// Reads from the database, on this thread.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs [`transaction`](Self::transaction) on a blocking thread.
    pub(crate) async fn write_async<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let db = self.clone();
        blocking(move || db.transaction(work)).await
    }

    /// Runs [`read`](Self::read) on a blocking thread.
    pub(crate) async fn read_async<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let db = self.clone();
        blocking(move || db.read(work)).await
    }

    /// Makes a last change and leaves a single file without a write-ahead log. The database must not be in
    /// use elsewhere.
    pub(crate) fn close_as_single_file(self, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        self.transaction(work)?;
        self.read(|c| {
            let _: String = c.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).sql()?;
            Ok(())
        })
    }

    /// Moves the write-ahead log into the database file, as far as readers allow.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.read(|c| c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).sql())
    }

    /// Writes a consistent copy to another file, even during other writes.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<()> {
        self.read(|c| c.backup(rusqlite::MAIN_DB, path, None::<fn(rusqlite::backup::Progress)>).sql())
    }
}

/// Runs blocking work on a separate thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Error::new(&codes::DATABASE, format!("the work was cut off: {e}"))))
}

/// Conversion of SQLite errors.
pub(crate) trait Sql<T> {
    /// Converts the error to one with the matching code.
    fn sql(self) -> Result<T>;
}

impl<T> Sql<T> for rusqlite::Result<T> {
    fn sql(self) -> Result<T> {
        self.map_err(|error| {
            let code = match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => &codes::DATABASE_CORRUPT,
                Some(ErrorCode::DiskFull) => &cloudron_core::codes::NO_SPACE,
                Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => &cloudron_core::codes::PERMISSION,
                _ => &codes::DATABASE,
            };
            Error::new(code, format!("the database: {error}")).with_source(error)
        })
    }
}

#[cfg(test)]
pub(crate) fn for_test() -> (tempfile::TempDir, Db) {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let db = Db::open(&home.path().join("cloudron.db")).expect("a new database opens");
    (home, db)
}
