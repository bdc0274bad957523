//! Reads the content of a repository without restoring it.

pub(crate) mod diff;
pub(crate) mod find;
pub(crate) mod list;
mod report;

pub use report::{Change, ChangeKind, DiffReport, FindReport, Found, ListReport};
