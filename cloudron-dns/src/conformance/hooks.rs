//! Optional capabilities of a fixture, which allow more checks.

use async_trait::async_trait;

use crate::{Observed, RecordKey, Result, Zone};

/// A reader of the zone that is independent of the provider under test, such as the state of its server. It catches a
/// provider that returns what it intended to write.
#[async_trait]
pub trait Truth: Send + Sync {
    /// Returns every record set that is now in the zone.
    ///
    /// # Errors
    /// Any error of reading; the check then counts as failed.
    async fn sets(&self, zone: &Zone) -> Result<Vec<Observed>>;

    /// Adds something to the zone that the provider must show as opaque, such as an alias, and returns its key. The
    /// default has nothing of that kind.
    ///
    /// # Errors
    /// Any error of adding it.
    async fn put_opaque(&self, _zone: &Zone) -> Result<Option<RecordKey>> {
        Ok(None)
    }
}

/// The connection between the provider and its server: it counts requests and can make them fail.
///
/// A provider with retry delays should use a clock that does not wait, or short delays.
pub trait Wire: Send + Sync {
    /// Returns the number of requests since the place was created.
    fn calls(&self) -> Calls;

    /// Makes requests fail from now on and replaces earlier injections. Returns `false` if this is not supported.
    fn inject(&self, injection: Injection) -> bool;

    /// Removes all injections.
    fn clear(&self);
}

/// Numbers of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// Requests that read.
    pub reads: usize,
    /// Requests that write, or try to.
    pub writes: usize,
}

impl Calls {
    /// Creates the numbers.
    pub fn new(reads: usize, writes: usize) -> Self {
        Self { reads, writes }
    }

    /// Returns the difference from an earlier count.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(earlier.reads),
            writes: self.writes.saturating_sub(earlier.writes),
        }
    }
}

/// The requests that fail, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Injection {
    /// True if requests that write fail, rather than those that read.
    pub writes: bool,
    /// Number of requests of that kind that pass first.
    pub after: usize,
    /// Number of requests that fail then.
    pub times: usize,
    /// The kind of failure.
    pub fault: Fault,
}

/// The kind of failure of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The server refuses it permanently (for example 403, 422, REFUSED) and does nothing.
    Refused,
    /// The server reports that it is busy (for example 429, 503, SERVFAIL) and does nothing.
    Busy,
    /// The connection ends before the request arrives.
    CutBefore,
    /// The request is executed, but its response is lost.
    CutAfter,
}
