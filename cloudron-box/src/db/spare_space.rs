//! A file that reserves disk space. It is deleted when the disk is full, so that the server can still open
//! its database and report the problem.

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::db::{Db, settled};
use crate::settings::Settings;
use crate::system::disk::space;
use crate::system::files;
use crate::{Layout, Result, codes};

/// Size of the reserve, in bytes.
const SIZE: u64 = 4 * 1024 * 1024;

/// Free space required to create it, in bytes.
const ROOM: u64 = 64 * 1024 * 1024;

/// Free space below which a disk counts as full, in bytes.
const FULL: u64 = 1024 * 1024;

/// Opens the database. On a full disk, the reserve is deleted before or after.
pub(crate) fn open_database(layout: &Layout, settings: &Settings) -> Result<Db> {
    if file(layout).exists() && space(layout.state())?.free < FULL {
        tracing::error!("The disk is full; what was reserved is given back");
        files::remove_file(&file(layout))?;
    }
    let reasons = [&codes::DATABASE_CORRUPT, &codes::DATABASE_LOST, &codes::DATABASE_NEWER];
    let lasting = |e: &crate::Error| reasons.iter().any(|code| e.is(code));
    let db = match settled::open(layout, settings) {
        Err(error) if !lasting(&error) && file(layout).exists() => {
            tracing::error!(%error, "The database cannot be opened; it is tried again with the reserved space");
            files::remove_file(&file(layout))?;
            settled::open(layout, settings)
        }
        opened => opened,
    }?;
    if let Err(error) = keep(layout) {
        tracing::warn!(%error, "No space could be reserved");
    }
    Ok(db)
}

/// Creates the reserve if there is enough free space.
fn keep(layout: &Layout) -> Result<()> {
    let path = file(layout);
    if path.exists() || space(layout.state())?.free < ROOM {
        return Ok(());
    }
    let made = files::open_own(&path, OpenOptions::new().write(true).create(true).truncate(true))?;
    let failed = |e| crate::Error::io(&path, e);
    rustix::fs::fallocate(&made, rustix::fs::FallocateFlags::empty(), 0, SIZE).map_err(|e| failed(e.into()))
}

fn file(layout: &Layout) -> PathBuf {
    layout.cache().join("reserve")
}
