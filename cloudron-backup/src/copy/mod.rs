//! Copies: of a repository as it is, and of chosen backups into another one.

mod report;
pub(crate) mod repository;
pub(crate) mod snapshots;

pub use report::{CopyReport, TransferReport};
