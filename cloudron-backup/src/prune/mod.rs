//! Removes old backups and the content that only they needed, and compacts the index.

mod clean;
pub(crate) mod copies;
mod forget;
mod known;
mod plan;
mod policy;
mod reach;
mod repack;
mod repair;
mod report;
mod request;
mod rewrite;
mod run;
mod state;
mod sweep;

pub use policy::{Decision, KeepReason, PrunePolicy, keep};
pub(crate) use reach::{Listed, each_chunk};
pub(crate) use repair::repair;
pub use report::{PruneReport, RepairReport};
pub use request::{PruneRequest, RepairRequest};
pub(crate) use rewrite::{is_damage, put_lines};
pub(crate) use run::run;
pub(crate) use state::State;
