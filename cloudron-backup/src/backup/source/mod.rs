//! Backups from other inputs than local folders: a stream, or the entries of an archive.

mod program;
mod read_ahead;
pub(crate) mod stream;

use cloudron_core::{Error, Result};

pub use program::ProgramOutput;
pub(crate) use read_ahead::ReadAhead;
pub(crate) use stream::StreamSource;

use super::entries::Writer;
use crate::codes;
use crate::format::manifest::HeaderSource;
use crate::format::summary::Origin;

/// A provider of the entries of a backup.
pub(crate) trait ReadSource: Send {
    /// Returns the sources of the backup, in the order of the walk.
    fn sources(&self) -> Vec<HeaderSource>;

    /// Returns the origin of the content, unless it is from this machine.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Passes every entry to the writer, in the order of the walk.
    ///
    /// # Errors
    /// Errors that make the backup fail.
    fn read_into(self: Box<Self>, writer: &mut Writer<'_>) -> Result<()>;
}

/// Converts an error of the caller's reader, or unwraps the error that one of our own readers put into it.
pub(crate) fn of_reader(error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|e| {
        Error::new(&codes::STREAM_FAILED, format!("the stream ended with an error: {e}")).with_source(e)
    })
}
