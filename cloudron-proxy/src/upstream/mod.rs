//! Connections to the programs that answer.

mod dial;
mod pool;
mod send;

pub(crate) use pool::{Lease, Pool};

/// The reason why an upstream gives no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection, or one that broke, or a response that cannot be understood: 502.
    Broken,
    /// No connection or no response in time: 504.
    Late,
}
