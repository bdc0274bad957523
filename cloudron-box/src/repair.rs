//! Repair of a server whose database is damaged, missing or older than recorded.

use std::path::{Path, PathBuf};

pub use cloudron_api::DatabaseRepair;
use cloudron_api::SetupToken;
use serde_json::json;

use crate::db::tokens::{self, fresh_setup_token};
use crate::db::{Db, events, settled, users};
use crate::service::RunFiles;
use crate::settings::Settings;
use crate::system::owner::become_owner;
use crate::time::millis;
use crate::{Error, Layout, Result, codes};

/// Keeps the existing database and ends its sessions, if it is valid and has an event log. Otherwise creates
/// a new one, and renames the old one. The server must not run.
///
/// # Errors
/// `already-running`, `machine-missing`, `database-newer`, and file errors.
pub fn repair_database(layout: &Layout) -> Result<DatabaseRepair> {
    become_owner(layout)?;
    let settings = Settings::require(layout)?;
    let _lock = RunFiles::of(layout).lock()?;
    settled::forget(layout)?;
    let path = layout.database();
    let (db, kept, moved_to) = match settled::open(layout, &settings) {
        Ok(db) => (db, true, None),
        Err(e) if e.is(&codes::DATABASE_LOST) || e.is(&codes::DATABASE_CORRUPT) => {
            let moved_to = move_aside(&path)?;
            (Db::open(&path)?, false, moved_to)
        }
        Err(e) => return Err(e),
    };
    let now = millis(std::time::SystemTime::now());
    let setup = db.transaction(|c| {
        settled::adopt(c)?;
        tokens::clear(c)?;
        let data = json!({"kept": kept, "movedTo": moved_to});
        events::add(c, now, "database.repair", &events::system("cli"), &data)?;
        if users::any(c)? { Ok(None) } else { fresh_setup_token(c, now).map(Some) }
    })?;
    settled::note(layout, &db)?;
    let setup = setup.map(|(token, expires_at)| {
        let page = settings.setup_page();
        SetupToken { token, page, expires_at }
    });
    Ok(DatabaseRepair { kept, moved_to, setup })
}

/// Renames the database and its log files to an unused name. Returns the new path.
fn move_aside(path: &Path) -> Result<Option<PathBuf>> {
    let named = |base: &Path, end: &str| {
        let mut name = base.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let free = |n: &u32| !named(path, &format!(".damaged-{n}")).exists();
    let to = named(path, &format!(".damaged-{}", (1..).find(free).unwrap_or(u32::MAX)));
    let mut moved = None;
    for end in ["", "-wal", "-shm"] {
        match std::fs::rename(named(path, end), named(&to, end)) {
            Ok(()) => moved = Some(to.clone()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(named(path, end), e)),
        }
    }
    cloudron_core::atomic::sync_folder(path.parent().unwrap_or(Path::new("/")))?;
    Ok(moved)
}
