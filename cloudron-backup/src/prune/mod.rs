//! Removing old backups and what only they needed.

mod policy;
mod report;

pub use policy::{Decision, KeepReason, PrunePolicy, keep};
pub use report::{PruneReport, PruneRequest, RepairReport, RepairRequest};
