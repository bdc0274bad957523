//! What a connection is doing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cloudron_core::Clock;

/// The time of the last thing that happened on a connection, and the number of its requests.
pub(crate) struct Activity {
    clock: Arc<dyn Clock>,
    last: AtomicU64,
    open: AtomicUsize,
}

impl Activity {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let activity = Self { clock, last: AtomicU64::new(0), open: AtomicUsize::new(0) };
        activity.note();
        Arc::new(activity)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes that something happens.
    pub(crate) fn note(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// Returns the time since something happened.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    /// Returns the time since the end of the last request. Zero while there is one.
    pub(crate) fn unused(&self) -> Duration {
        if self.open.load(Ordering::Relaxed) > 0 { Duration::ZERO } else { self.idle() }
    }

    /// Begins a request, which ends when the result is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.note();
        Open(self.clone())
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.open.load(Ordering::Relaxed);
        f.debug_struct("Activity").field("idle", &self.idle()).field("open", &open).finish()
    }
}

/// A request that has not ended.
#[derive(Debug)]
pub(crate) struct Open(Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.note();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
