//! Backups of what is not a folder of this machine: a stream, or the entries of an archive.

mod program;
mod read_ahead;
pub(crate) mod stream;

use cloudron_core::{Error, Result};

pub use program::ProgramOutput;
pub(crate) use read_ahead::ReadAhead;
pub(crate) use stream::StreamFeed;

use super::entries::Writer;
use crate::codes;
use crate::format::manifest::HeaderSource;
use crate::format::summary::Origin;

/// Where the entries of a backup come from.
pub(crate) trait Feed: Send {
    /// The sources that the backup names, in the order of the walk.
    fn sources(&self) -> Vec<HeaderSource>;

    /// Where it was made, if not of what is on this machine.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Gives every entry to the writer, in the order of the walk.
    ///
    /// # Errors
    /// What makes the backup fail.
    fn give(self: Box<Self>, writer: &mut Writer<'_>) -> Result<()>;
}

/// What a failure of the caller's reader is, or what our own layers over it put into its place.
pub(crate) fn of_reader(error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|e| {
        Error::new(&codes::STREAM_FAILED, format!("the stream ended with an error: {e}")).with_source(e)
    })
}
