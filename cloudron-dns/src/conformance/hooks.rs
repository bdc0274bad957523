//! What a fixture may offer beyond a place to work in, so that more can be checked.

use async_trait::async_trait;

use crate::{Observed, RecordKey, Result, Zone};

/// A reader of the zone that is not the provider under test, such as the state of the server that it speaks to: a
/// provider that reads what it wishes it had written is caught by it.
#[async_trait]
pub trait Truth: Send + Sync {
    /// Every record set that the zone holds now.
    ///
    /// # Errors
    /// Whatever keeps it from reading; the check then counts as failed.
    async fn sets(&self, zone: &Zone) -> Result<Vec<Observed>>;

    /// Puts something into the zone that the provider must show as opaque, such as an alias, and says its key. By
    /// default there is nothing of that kind.
    ///
    /// # Errors
    /// Whatever keeps it from being put there.
    async fn put_opaque(&self, _zone: &Zone) -> Result<Option<RecordKey>> {
        Ok(None)
    }
}

/// The way between the provider and its server: it counts requests and lets them fail.
///
/// A provider that waits between its tries should be given a clock that does not, or a short patience.
pub trait Wire: Send + Sync {
    /// The requests since the place was made.
    fn calls(&self) -> Calls;

    /// Lets requests fail from now on; what was injected before is forgotten. `false` when it cannot do that.
    fn inject(&self, injection: Injection) -> bool;

    /// Lets all requests through again.
    fn clear(&self);
}

/// How many requests there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// Those that ask.
    pub reads: usize,
    /// Those that change something, or try to.
    pub writes: usize,
}

impl Calls {
    /// So many of each.
    pub fn new(reads: usize, writes: usize) -> Self {
        Self { reads, writes }
    }

    /// What came after an earlier count.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(earlier.reads),
            writes: self.writes.saturating_sub(earlier.writes),
        }
    }
}

/// Which requests fail, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Injection {
    /// Whether those that write are meant, rather than those that read.
    pub writes: bool,
    /// How many of that kind are let through first.
    pub after: usize,
    /// How many fail then.
    pub times: usize,
    /// How they fail.
    pub fault: Fault,
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The server refuses it for good (such as 403, 422, REFUSED), and nothing is done.
    Refused,
    /// The server says that it is too busy (such as 429, 503, SERVFAIL), and nothing is done.
    Busy,
    /// The connection ends before the request arrives.
    CutBefore,
    /// The request is carried out, and its answer is lost.
    CutAfter,
}
