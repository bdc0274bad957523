//! Administration by the machine's owner on the machine itself, without the HTTP API.
//!
//! Called as root on a machine of its own, each function switches to the state folder's owner for the rest of
//! the process.

mod folders;
mod proxy;

pub use folders::{include_add, include_list, include_remove};
pub(crate) use proxy::restore_routes;
pub use proxy::{proxy_add, proxy_list, proxy_remove};

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use cloudron_api::{Description, SetupToken};
use cloudron_backup::BackupStore;
use cloudron_core::Secret;
use serde_json::{Value, json};

use crate::api::{EventSource, Session};
use crate::db::tokens::{self, fresh_setup_token};
use crate::db::{Db, events, settings, settled, users};
use crate::settings::{Settings, WorkerSettings};
use crate::system::files;
use crate::system::owner::{as_owner, become_owner, become_worker};
use crate::time::{later, millis};
use crate::{Error, Layout, Result, codes};

/// Makes a bearer token for the HTTP API that is valid for `ttl`. Works before the first-time setup too.
///
/// # Errors
/// `machine-missing`, and errors of the database.
pub fn mint_token(layout: &Layout, name: &str, ttl: Duration) -> Result<Secret> {
    let (db, _) = open(layout)?;
    let token = tokens::fresh();
    db.transaction(|c| {
        let now = tokens::time(c, now())?;
        let life = tokens::Life { from: now, until: later(now, ttl) };
        tokens::add(c, &token, tokens::Purpose::of_nobody(tokens::Kind::Admin, name), life)
    })?;
    Ok(token)
}

/// Makes a new token for the first-time setup and invalidates the previous one.
///
/// # Errors
/// `already-activated`, `machine-missing`, and errors of the database.
pub fn setup_token(layout: &Layout) -> Result<SetupToken> {
    let (db, settings) = open(layout)?;
    let (token, expires_at) = db.transaction(|c| {
        if users::any(c)? {
            return Err(Error::new(&codes::ALREADY_ACTIVATED, "the first-time setup was done already"));
        }
        fresh_setup_token(c, now())
    })?;
    Ok(SetupToken { token, page: settings.setup_page(), expires_at })
}

/// Maximum size of the owner's record, in bytes.
const RECORD_LIMIT: usize = 256 << 10;

/// Returns the description of the machine.
///
/// # Errors
/// `machine-missing`, `config-corrupt`.
pub fn describe(layout: &Layout) -> Result<Description> {
    become_owner(layout)?;
    let settings = Settings::require(layout)?;
    let ca_pem = std::fs::read_to_string(layout.authority()).map_err(|e| Error::io(layout.authority(), e))?;
    Ok(Description {
        port: settings.port(),
        fqdn: settings.fqdn,
        provider: settings.provider,
        run: settings.run,
        ca_pem,
        store: settings.store,
        record: files::read_json(&layout.record())?,
    })
}

/// Stores the owner's record of the machine and replaces an older one.
///
/// # Errors
/// `machine-missing`; `install-request` if the record is larger than 256 KiB.
pub fn keep_record(layout: &Layout, record: &Value) -> Result<()> {
    become_owner(layout)?;
    Settings::require(layout)?;
    if record.to_string().len() > RECORD_LIMIT {
        return Err(Error::new(&codes::INSTALL_REQUEST, "the record of the machine is larger than 256 KiB"));
    }
    files::write_json(&layout.record(), record)
}

/// Opens the machine's backup store with the rights of the backup worker, whose it is.
///
/// # Errors
/// `machine-missing`, `config-corrupt`.
pub fn open_store(layout: &Layout) -> Result<Arc<dyn BackupStore>> {
    let settings = as_owner(layout, || Settings::require(layout))?;
    become_worker(layout)?;
    crate::store::open(layout, &WorkerSettings::of_server(layout, &settings)?)
}

/// Returns the sessions of all users, newest first.
///
/// # Errors
/// `machine-missing`, and errors of the database.
pub fn sessions(layout: &Layout) -> Result<Vec<Session>> {
    let clock = now();
    open(layout)?.0.read(|c| tokens::sessions(c, None, tokens::lead(tokens::time(c, clock)?, clock)))
}

/// Ends one session, or all. Returns the number of sessions ended.
///
/// # Errors
/// `session-unknown`, `machine-missing`, and errors of the database.
pub fn end_sessions(layout: &Layout, id: Option<&str>) -> Result<usize> {
    let (db, _) = open(layout)?;
    db.transaction(|c| {
        let ended = match id {
            None => tokens::end_sessions(c, None, None)?,
            Some(id) if tokens::end_session(c, id, None)? => 1,
            Some(id) => {
                let text = format!("there is no session {id:?}");
                return Err(Error::new(&codes::SESSION_UNKNOWN, text));
            }
        };
        events::add(c, now(), "session.end", &events::system("cli"), &json!({"id": id, "ended": ended}))?;
        Ok(ended)
    })
}

/// Sets a new password for the owner and ends all sessions. Returns the owner's e-mail address.
///
/// # Errors
/// `not-activated` if there is no owner yet, `bad-request` for an invalid password, `machine-missing`, and
/// errors of the database.
pub fn reset_password(layout: &Layout, password: &Secret) -> Result<String> {
    let (db, settings) = open(layout)?;
    crate::password::check(password)?;
    let none = || {
        let text = "this server has no owner yet whose password could be reset";
        Error::new(&codes::NOT_ACTIVATED, text)
            .with_hint(format!("`cloudron machine setup-link {}` gives a link to become one", settings.fqdn))
    };
    let owner = db.read(users::owner)?.ok_or_else(none)?;
    let hash = crate::password::hash(password)?;
    db.transaction(|c| {
        users::set_password(c, &owner.id, &hash)?;
        users::forget_networks(c, &owner.id)?;
        let ended = tokens::end_sessions(c, Some(&owner.id), None)?;
        let data = json!({"by": "machine", "email": owner.email, "ended": ended});
        events::add(c, now(), "user.password", &events::system("cli"), &data)
    })?;
    Ok(owner.email)
}

/// Retires the machine because another one took over, or reverts that. Returns true if this changed the
/// state. A running server notices within a few seconds.
///
/// # Errors
/// `machine-missing`, and errors of the database.
pub fn retire(layout: &Layout, retired: bool) -> Result<bool> {
    let (db, _) = open(layout)?;
    let source = events::system("cli");
    db.transaction(
        |c| if retired { set_retired(c, now(), &source) } else { set_unretired(c, now(), &source) },
    )
}

/// Retires the machine and ends all sessions. Returns true if it was not retired before.
pub(crate) fn set_retired(c: &rusqlite::Connection, now: i64, source: &EventSource) -> Result<bool> {
    if settings::get(c, settings::RETIRED)?.is_some() {
        return Ok(false);
    }
    settings::set(c, settings::RETIRED, &now.to_string())?;
    tokens::end_sessions(c, None, None)?;
    events::add(c, now, "cloudron.retire", source, &json!({}))?;
    Ok(true)
}

fn set_unretired(c: &rusqlite::Connection, now: i64, source: &EventSource) -> Result<bool> {
    if settings::get(c, settings::RETIRED)?.is_none() {
        return Ok(false);
    }
    settings::remove(c, settings::RETIRED)?;
    events::add(c, now, "cloudron.unretire", source, &json!({}))?;
    Ok(true)
}

fn now() -> i64 {
    millis(SystemTime::now())
}

fn open(layout: &Layout) -> Result<(Db, Settings)> {
    become_owner(layout)?;
    let settings = Settings::require(layout)?;
    Ok((settled::open(layout, &settings)?, settings))
}
