//! Queries every authoritative name server.
//!
//! A resolver that is queried too early caches that a record does not exist, so only the authoritative servers are
//! queried. They are found by walking down from the root, or given by address ([`Lookup`]). [`check`] queries once,
//! [`wait`] until all agree or the time limit passes. A missing response never counts as agreement.

mod ask;
mod check;
mod lookup;
mod report;
mod resolver;
mod sync;
mod wait;
mod walk;
mod wire;

pub use check::{check, check_at, read_names};
pub use lookup::{Authority, Lookup, Server, name_server};
pub use report::{KeyReport, Report, ServerReport, Stale, StaleReason, Verdict};
pub use resolver::Resolver;
pub use sync::in_sync;
pub use wait::{WaitOptions, wait};
