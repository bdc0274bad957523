//! Backups and the list of them: opening, selecting and naming.

pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod latest;
mod list;
mod open;
mod owner;
pub(crate) mod paths;
pub(crate) mod sequence;
mod session;
pub(crate) mod slot;

pub use entry::{FileEntry, FileKind};
pub use filter::SnapshotFilter;
pub use list::SnapshotList;
pub use open::Skipped;
pub(crate) use open::{Backup, namer};
pub(crate) use owner::Owner;
pub(crate) use session::{Reading, Session, Writing};
