//! Restores a backup.

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

use cloudron_core::{BackupId, Result};

use crate::codes;
use crate::format::pack_ranges::PackRangeReader;
use crate::snapshot::{Backup, Reading, Session, namer};

/// Returns the target places of the entries of a manifest.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn places(
    request: &RestoreRequest,
    header: &crate::format::manifest::Header,
) -> Result<target::Places> {
    target::Places::new(request, &header.sources)
}

/// A running restore.
struct Restore<'a> {
    session: Session<'a>,
    request: &'a RestoreRequest,
    backup: &'a Backup,
    places: &'a target::Places,
}

/// Restores a backup.
pub(crate) fn run(reading: &Reading<'_>, id: &BackupId, request: &RestoreRequest) -> Result<RestoreReport> {
    let session = **reading;
    let ask = thaw::Ask { session, request };
    let backup = match reading.backup(id) {
        Err(e) if e.is(&codes::OBJECT_ARCHIVED) => {
            ask.first_objects(id)?;
            reading.backup(id)?
        }
        opened => opened?,
    };
    let places = target::Places::new(request, &backup.entries()?.header().sources)?;
    let restore = Restore { session, request, backup: &backup, places: &places };
    let ahead = conflicts::check(&restore)?;
    let writer = backup.summary.writer;
    let index = match reading.index(writer) {
        Err(e) if e.is(&codes::OBJECT_ARCHIVED) => {
            ask.first_objects(id)?;
            reading.index(writer)?
        }
        loaded => loaded?,
    };
    // Before anything is written, if the store reports archived objects.
    ask.packs(&restore, &index, thaw::Which::Listed)?;
    let source = || -> Result<_> {
        let parts = PackRangeReader::new(session.store, &index, backup.key());
        Ok(prefetch::Source::new(&index, parts, namer(reading.identity)?))
    };
    match write::all(&restore, &source()?, &ahead) {
        Err(e) if e.is(&codes::OBJECT_ARCHIVED) => {
            ask.packs(&restore, &index, thaw::Which::Needed)?;
            write::all(&restore, &source()?, &ahead)
        }
        done => done,
    }
}
