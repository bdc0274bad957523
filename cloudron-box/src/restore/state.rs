//! Adapting the database of a backup to this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cloudron_backup::Summary;
use cloudron_core::atomic;
use serde_json::json;

use super::RestoreAnswer;
use crate::db::interrupted::close_restored;
use crate::db::{Db, events, includes, settings, settled, tokens};
use crate::include::overlaps;
use crate::settings::Settings;
use crate::time::millis;
use crate::{Error, Include, Layout, Result, codes};

pub(super) fn no_database(summary: &Summary) -> Error {
    Error::new(&codes::RESTORE_NO_STATE, format!("{} holds no database", summary.id))
}

/// The included folders that are known besides those of the restored database.
pub(super) struct Folders {
    /// Those of a backup that was made on a machine of its own, where the database has none.
    pub(super) of_backup: Option<Vec<Include>>,
    /// Those that root of this machine lists.
    pub(super) of_root: Vec<Include>,
}

/// Adds this machine's own values, and removes those that hold for the old machine only. Users, event log and included
/// folders with their commands are kept. Returns the included folders, which root lists on a machine of its own.
pub(super) fn adapt(
    layout: &Layout,
    settings: &Settings,
    restored: &Path,
    summary: &Summary,
    answer: &RestoreAnswer,
    folders: Folders,
) -> Result<Vec<Include>> {
    if !restored.is_file() {
        return Err(no_database(summary));
    }
    // A restore is also for a machine whose own database is lost or damaged.
    let own = settled::open(layout, settings).ok();
    let asked_for = match (&own, layout.is_system()) {
        (Some(own), false) => own.read(includes::list)?,
        _ => folders.of_root,
    };
    let mut all = Vec::new();
    let now = millis(SystemTime::now());
    let data = json!({
        "id": answer.backup, "files": answer.files, "bytes": answer.bytes, "compared": answer.compared,
        "fqdn": summary.fqdn, "version": summary.version,
    });
    Db::open(restored)?.close_as_single_file(|c| {
        tokens::clear(c)?;
        close_restored(c, now, summary)?;
        // The old machine may have been retired, and its times do not apply here.
        for key in [settings::RETIRED, settings::HIGHEST_TIME, crate::db::backups::FIRST_START] {
            settings::remove(c, key)?;
        }
        settled::adopt(c)?;
        let of_database = includes::take(c)?;
        all = folders.of_backup.unwrap_or(of_database);
        for include in asked_for {
            // A folder included in this installation is added, unless it overlaps one of the backup.
            if !all.iter().any(|i| i.path != include.path && overlaps(i, &include)) {
                crate::include::put(&mut all, &include)?;
            }
        }
        if !layout.is_system() {
            all.iter().try_for_each(|include| includes::put(c, include).map(drop))?;
        }
        events::add(c, now, "cloudron.restore", &events::system("installer"), &data)
    })?;
    Ok(all)
}

/// Puts the adapted file in the place of the database.
pub(super) fn put_in_place(layout: &Layout, settings: &Settings, restored: &Path) -> Result<()> {
    let own = settled::open(layout, settings).ok();
    settled::forget(layout)?;
    // Closing the last connection removes the log files of the old database, which do not belong to the new
    // one.
    if let Some(own) = own {
        own.close_as_single_file(|_| Ok(()))?;
    }
    let database = layout.database();
    for beside in ["-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", database.display()))) {
        crate::system::files::remove_file(&beside)?;
    }
    let synced = fs::File::open(restored).and_then(|f| f.sync_all());
    synced.and_then(|()| fs::rename(restored, &database)).map_err(|e| Error::io(&database, e))?;
    atomic::sync_folder(layout.state())?;
    settled::note(layout, &Db::open(&database)?)
}
