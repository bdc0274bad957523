//! What the owner of the machine does on it, through the command line, without the interface.
//!
//! Called as root on a machine of its own, each of these takes on the identity of the state folder's owner
//! for the rest of the process, so that no file of the database ever belongs to root.

use std::path::Path;
use std::time::Duration;

use cloudron_core::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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

fn missing() -> Error {
    Error::new(&codes::MACHINE_MISSING, "this build has no administration")
}

/// Makes a bearer token for the interface that is valid for `ttl`, also before the first-time setup.
///
/// # Errors
/// `machine-missing`, and those of the database.
pub fn mint_token(layout: &Layout, name: &str, ttl: Duration) -> Result<Secret> {
    let _ = (layout, name, ttl);
    Err(missing())
}

/// Makes a new token for the first-time setup; the one before is worthless from then on.
///
/// # Errors
/// `already-activated`, `machine-missing`, and those of the database.
pub fn setup_token(layout: &Layout) -> Result<SetupToken> {
    let _ = layout;
    Err(missing())
}

/// Adds a folder to every future backup, or changes the commands of one that is there.
///
/// # Errors
/// `include-invalid`, `machine-missing`, and those of the database.
pub fn include_add(layout: &Layout, include: Include) -> Result<Include> {
    let _ = (layout, include);
    Err(missing())
}

/// Takes a folder out of future backups.
///
/// # Errors
/// `include-missing`, `machine-missing`, and those of the database.
pub fn include_remove(layout: &Layout, path: &Path) -> Result<()> {
    let _ = (layout, path);
    Err(missing())
}

/// The included folders, by path.
///
/// # Errors
/// `machine-missing`, and those of the database.
pub fn include_list(layout: &Layout) -> Result<Vec<Include>> {
    let _ = layout;
    Err(missing())
}
