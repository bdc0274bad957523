//! Installing this version over the server that is here.

use super::{InstallAnswer, InstallRequest, check, earlier, put, worker_settings};
use crate::settings::Settings;
use crate::system::owner::as_owner;
use crate::{Layout, Result, service};

/// Installs this version over the server that is here, also over one whose parts were one unit: data, users, event log,
/// keys, authority, included folders and backups stay. Stops the server while files change their place, and does not
/// start it. An interrupted call can be repeated.
///
/// # Errors
/// `machine-missing`, and those of [`install`](super::install).
pub fn reinstall(layout: &Layout) -> Result<InstallAnswer> {
    let existing = as_owner(layout, || Settings::require(layout))?;
    let request = InstallRequest {
        fqdn: existing.fqdn.clone(),
        provider: existing.provider.clone(),
        run: existing.run.clone(),
        supervisor: existing.supervisor,
        listen: existing.listen.clone(),
        store: worker_settings(layout, &existing)?.store,
        writer_keys: earlier::read_keys(layout)?,
        repository_id: None,
        store_access: earlier::read_access(layout)?,
        repository: Vec::new(),
        includes: Vec::new(),
        backup_hour: Some(existing.backup_hour),
    };
    check::request(layout, &request)?;
    service::stop(layout)?;
    // A store whose disk is not mounted is not made anew.
    let with_store = existing.store_folder().is_some_and(|folder| folder.exists());
    put(layout, &request, Some(&existing), with_store)
}
