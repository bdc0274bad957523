//! Asking every authoritative name server what it answers.
//!
//! A resolver that is asked too early remembers that there was nothing, so nobody but the authoritative servers is
//! asked. They are found by walking down from the root, or given by address ([`Lookup`]). [`check`] asks once,
//! [`wait`] until all agree or the time is over. An answer that did not come is never taken for agreement.

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
pub use lookup::{Authority, Lookup, Server};
pub use report::{KeyReport, Report, ServerReport, Stale, StaleReason, Verdict};
pub use resolver::Resolver;
pub use sync::in_sync;
pub use wait::{WaitOptions, wait};
