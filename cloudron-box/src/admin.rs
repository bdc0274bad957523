//! What the owner of the machine does on it, through the command line, without the interface.
//!
//! Called as root on a machine of its own, each of these takes on the identity of the state folder's owner
//! for the rest of the process, so that no file of the database ever belongs to root.

use std::path::Path;
use std::time::{Duration, SystemTime};

use cloudron_core::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::{Db, events, includes, tokens, users};
use crate::install::{Owner, fresh_setup_token};
use crate::machine::Settings;
use crate::time::{later, millis};
use crate::{Error, Include, Layout, Result, codes};

/// A token for the first-time setup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetupToken {
    /// The token.
    pub token: Secret,
    /// Where the setup page lives, without the token: `https://my.<domain>/`. The link to open is this,
    /// `#setup=` and the token.
    pub page: String,
    /// When it stops being valid.
    pub expires_at: Timestamp,
}

/// Makes a bearer token for the interface that is valid for `ttl`, also before the first-time setup.
///
/// # Errors
/// `machine-missing`, and those of the database.
pub fn mint_token(layout: &Layout, name: &str, ttl: Duration) -> Result<Secret> {
    let (db, _) = open(layout)?;
    let (token, now) = (tokens::fresh(), now());
    db.transaction(|c| tokens::add(c, &token, tokens::Kind::Admin, (name, None), (now, later(now, ttl))))?;
    Ok(token)
}

/// Makes a new token for the first-time setup; the one before is worthless from then on.
///
/// # Errors
/// `already-activated`, `machine-missing`, and those of the database.
pub fn setup_token(layout: &Layout) -> Result<SetupToken> {
    let (db, settings) = open(layout)?;
    let (token, expires_at) = db.transaction(|c| {
        if users::any(c)? {
            return Err(Error::new(&codes::ALREADY_ACTIVATED, "the first-time setup was done already"));
        }
        fresh_setup_token(c, now())
    })?;
    let port = if settings.port() == 443 { String::new() } else { format!(":{}", settings.port()) };
    let page = format!("https://{}{port}/", settings.fqdn.admin_fqdn());
    Ok(SetupToken { token, page, expires_at })
}

/// Adds a folder to every future backup, or changes the commands of one that is there.
///
/// # Errors
/// `include-invalid`, `machine-missing`, and those of the database.
pub fn include_add(layout: &Layout, include: Include) -> Result<Include> {
    let (db, settings) = open(layout)?;
    let include = include.checked(layout, settings.store_folder().as_deref())?;
    db.transaction(|c| {
        let new = includes::put(c, &include)?;
        let action = if new { "include.add" } else { "include.update" };
        // The commands may hold a password, so the event only says whether there are any.
        let data = json!({
            "path": include.path, "before": include.before.is_some(), "after": include.after.is_some(),
        });
        events::add(c, now(), action, &events::system("cli"), &data)
    })?;
    Ok(include)
}

/// Takes a folder out of future backups.
///
/// # Errors
/// `include-missing`, `machine-missing`, and those of the database.
pub fn include_remove(layout: &Layout, path: &Path) -> Result<()> {
    let (db, _) = open(layout)?;
    let path: std::path::PathBuf = path.components().collect();
    db.transaction(|c| {
        if !includes::remove(c, &path.to_string_lossy())? {
            let text = format!("{} is not an included folder", path.display());
            return Err(Error::new(&codes::INCLUDE_MISSING, text));
        }
        events::add(c, now(), "include.remove", &events::system("cli"), &json!({"path": path}))
    })
}

/// The included folders, by path.
///
/// # Errors
/// `machine-missing`, and those of the database.
pub fn include_list(layout: &Layout) -> Result<Vec<Include>> {
    open(layout)?.0.read(includes::list)
}

/// The address of the machine's backup store, for work on it with the rights of its owner.
///
/// # Errors
/// `machine-missing`, `config-corrupt`.
pub fn store_url(layout: &Layout) -> Result<String> {
    let settings = Settings::require(layout)?;
    become_owner(layout)?;
    Ok(settings.store)
}

fn now() -> i64 {
    millis(SystemTime::now())
}

fn open(layout: &Layout) -> Result<(Db, Settings)> {
    let settings = Settings::require(layout)?;
    become_owner(layout)?;
    Ok((Db::open(&layout.database())?, settings))
}

/// Takes on the identity of the state folder's owner, when this is root and that is somebody else.
fn become_owner(layout: &Layout) -> Result<()> {
    let owner = Owner::of(layout.state())?;
    if !rustix::process::geteuid().is_root() || owner.uid == 0 {
        return Ok(());
    }
    // SAFETY: the calls change the identity of this process and touch no memory; the C library applies them
    // to every thread. The group goes first: afterwards there is no permission to change it.
    let changed = unsafe {
        libc::setgroups(1, &owner.gid) == 0 && libc::setegid(owner.gid) == 0 && libc::seteuid(owner.uid) == 0
    };
    if !changed {
        let error = std::io::Error::last_os_error();
        return Err(
            Error::io(layout.state(), error).while_doing("taking on the identity of the state's owner")
        );
    }
    Ok(())
}
