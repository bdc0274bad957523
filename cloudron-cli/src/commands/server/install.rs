//! `cloudron box install` and `uninstall`

use cloudron_api::command::Uninstall;
use cloudron_api::owner::Uninstalled;
use cloudron_box::Layout;
use cloudron_box::install::{self as box_install, InstallRequest};
use cloudron_core::Result;
use cloudron_machine::backups::{self, Folder};
use serde_json::Value;

use super::{request, value};
use crate::runtime::block_on;

pub(super) fn install(layout: &Layout) -> Result<Value> {
    value(box_install::install(layout, &request::<InstallRequest>()?)?)
}

pub(super) fn uninstall(layout: &Layout, how: &Uninstall) -> Result<Value> {
    if let Some(id) = &how.unused_repository {
        let folder = box_install::store_folder(layout)?;
        if let Some(folder) = folder.filter(|folder| folder.is_dir()) {
            block_on(|_| async { backups::remove_unused(&Folder::Near(folder), id).await })?;
        }
    }
    let uninstalled = match box_install::uninstall(layout, how.keep_backups) {
        // What is gone already, or never came to be, is removed.
        Err(e) if e.is(&cloudron_box::codes::MACHINE_MISSING) => false,
        other => other.map(|()| true)?,
    };
    value(Uninstalled { uninstalled })
}
