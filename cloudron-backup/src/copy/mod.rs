//! Copies a whole repository, or chosen backups into another one.

mod report;
pub(crate) mod repository;
pub(crate) mod snapshots;

pub use report::{CopyReport, TransferReport};
