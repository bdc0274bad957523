//! A file that holds some space, to be given back when the disk is full: so that the server can still open
//! its database and say what is wrong.

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::db::{Db, settled};
use crate::settings::Settings;
use crate::system::disk::space;
use crate::system::files;
use crate::{Layout, Result, codes};

/// How much it holds.
const SIZE: u64 = 4 * 1024 * 1024;

/// How much must be free for it to be made.
const ROOM: u64 = 64 * 1024 * 1024;

/// How little is free on a disk that counts as full.
const FULL: u64 = 1024 * 1024;

/// Opens the database. On a full disk, the reserve is given back before or after.
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

/// Makes the reserve when there is room for it.
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
