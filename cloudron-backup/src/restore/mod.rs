//! Restoring a backup.

pub(crate) mod compare;
mod conflicts;
mod file;
mod folded;
mod prefetch;
mod report;
mod request;
mod target;
mod thaw;
mod tree;
mod ways;
mod write;

pub use report::{CompareReport, Difference, Failure, RestoreReport};
pub use request::{RestoreRequest, RestoreTo};

use cloudron_core::{BackupId, Progress, Result};

use crate::codes;
use crate::format::config::Config;
use crate::format::pack_ranges::Parts;
use crate::keys::Identity;
use crate::runtime::Stop;
use crate::snapshot::{Backup, load_index, namer};
use crate::store::blocking::Blocking;

/// Where the entries of a manifest go.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn places(
    request: &RestoreRequest,
    header: &crate::format::manifest::Header,
) -> Result<target::Places> {
    target::Places::new(request, &header.sources)
}

/// Restores a backup.
pub(crate) fn run(
    store: &Blocking,
    config: &Config,
    identity: &Identity,
    id: &BackupId,
    request: &RestoreRequest,
    progress: &Progress,
    stop: &Stop,
) -> Result<RestoreReport> {
    let ask = thaw::Ask { store, request, progress, stop };
    let backup = match Backup::open(store, config, identity, id, stop) {
        Err(e) if e.is(&codes::OBJECT_ARCHIVED) => {
            thaw::first_objects(id, &ask)?;
            Backup::open(store, config, identity, id, stop)?
        }
        opened => opened?,
    };
    let places = target::Places::new(request, &backup.entries()?.header().sources)?;
    let ahead = conflicts::check(&backup, &places, request, progress, stop)?;
    let writer = backup.summary.writer;
    let index = match load_index(store, config, identity, writer, progress, stop) {
        Err(e) if e.is(&codes::OBJECT_ARCHIVED) => {
            thaw::first_objects(id, &ask)?;
            load_index(store, config, identity, writer, progress, stop)?
        }
        loaded => loaded?,
    };
    // Before anything is written, where the store tells.
    thaw::packs(&backup, &places, &index, thaw::Which::Listed, &ask)?;
    let source = || -> Result<_> {
        Ok(prefetch::Source::new(&index, Parts::new(store, &index, backup.key()), namer(identity)?))
    };
    match write::all(&backup, &places, request, &source()?, &ahead, progress, stop) {
        Err(e) if e.is(&codes::OBJECT_ARCHIVED) => {
            thaw::packs(&backup, &places, &index, thaw::Which::Needed, &ask)?;
            write::all(&backup, &places, request, &source()?, &ahead, progress, stop)
        }
        done => done,
    }
}
