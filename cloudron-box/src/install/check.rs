//! Checks of an installation request before anything is changed.

use std::path::PathBuf;

use cloudron_backup::WriterKeys;

use super::InstallRequest;
use crate::api::install::Supervisor;
use crate::include::{checked, overlaps};
use crate::settings::Settings;
use crate::{Error, Layout, Result, codes};

pub(super) fn request(layout: &Layout, request: &InstallRequest) -> Result<()> {
    let wrong = |text: &str| Err(Error::new(&codes::INSTALL_REQUEST, text.to_owned()));
    let word = |text: &str| {
        (1..=100).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if !word(&request.provider) || !word(&request.run) {
        return wrong("provider and run are 1 to 100 letters, digits, dots, hyphens or underscores");
    }
    if layout.is_system() != (request.supervisor == Supervisor::Systemd) {
        return wrong("systemd runs servers on a machine of their own, and only there");
    }
    if request.listen.is_empty() {
        return wrong("there is no address to listen on");
    }
    if request.backup_hour.is_some_and(|hour| hour > 23) {
        return wrong("the hour of the backup is 0 to 23");
    }
    if !layout.state().is_absolute() {
        return wrong("the state folder is not an absolute path");
    }
    match &request.store_access {
        Some(access) => {
            cloudron_backup::open_store_with(&request.store, &crate::store::options(access.clone()))?
        }
        None => cloudron_backup::open_store(&request.store)?,
    };
    let folder = store_folder(&request.store);
    if folder.as_ref().is_some_and(|f| !f.is_absolute()) {
        return wrong("the folder of the backup store is not an absolute path");
    }
    writer_keys(request.writer_keys.expose())?;
    for include in &request.includes {
        checked(include.clone(), layout, folder.as_deref())?;
    }
    for (n, include) in request.includes.iter().enumerate() {
        if request.includes[..n].iter().any(|other| other.path != include.path && overlaps(other, include)) {
            return wrong(&format!("the included folder {} overlaps another one", include.path.display()));
        }
    }
    Ok(())
}

fn store_folder(url: &str) -> Option<PathBuf> {
    match url.split_once("://") {
        None => Some(PathBuf::from(url)),
        Some(("file", path)) => Some(PathBuf::from(path)),
        Some(_) => None,
    }
}

/// Parses the writer keys. The error does not contain the text, which is secret.
pub(crate) fn writer_keys(text: &str) -> Result<WriterKeys> {
    serde_json::from_str(text).map_err(|_| {
        Error::new(&codes::INSTALL_REQUEST, "the keys for writing backups are not what they must be")
    })
}

/// Refuses a request for another machine or run than the existing one.
pub(super) fn same_machine(existing: &Settings, request: &InstallRequest) -> Result<()> {
    if existing.fqdn != request.fqdn {
        let text = format!("this place holds the machine {}, not {}", existing.fqdn, request.fqdn);
        return Err(Error::new(&codes::MACHINE_EXISTS, text));
    }
    if existing.run != request.run {
        let text = format!("this place holds the machine {}, made by another run", existing.fqdn);
        return Err(Error::new(&codes::MACHINE_EXISTS, text)
            .with_hint(format!("`cloudron machine destroy {}` removes it", existing.fqdn)));
    }
    Ok(())
}
