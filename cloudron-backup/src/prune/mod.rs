//! Removing old backups and what only they needed, and putting the index in order.

mod clean;
mod forget;
mod owner;
mod plan;
mod policy;
mod reach;
mod repair;
mod report;
mod rewrite;
mod run;
mod state;
mod sweep;

pub use policy::{Decision, KeepReason, PrunePolicy, keep};
pub(crate) use repair::repair;
pub use report::{PruneReport, PruneRequest, RepairReport, RepairRequest};
pub(crate) use run::run;
