//! Root's list of the included folders on a machine of its own.

use super::InstallRequest;
use crate::db::{includes, settled};
use crate::include::{self, checked};
use crate::settings::Settings;
use crate::system::owner::as_owner;
use crate::{Layout, Result};

/// Adds the requested folders to the list. If there is none yet, it begins with those that an earlier version kept in
/// the database; afterwards nothing that is written there counts.
pub(super) fn list(
    layout: &Layout,
    request: &InstallRequest,
    settings: &Settings,
    first: bool,
) -> Result<()> {
    let new = layout.includes().is_some_and(|file| !file.exists());
    let mut folders = include::roots_list(layout)?;
    if new && !first {
        folders = as_owner(layout, || settled::open(layout, settings)?.read(includes::list))?;
    }
    for include in &request.includes {
        include::put(&mut folders, &checked(include.clone(), layout, None)?)?;
    }
    include::set_roots_list(layout, folders)?;
    if first {
        return Ok(());
    }
    as_owner(layout, || settled::open(layout, settings)?.transaction(includes::take).map(drop))
}
