//! Repeated look-ups by the clock that is handed in.

use std::time::Duration;

use cloudron_core::{Clock, Error, Result};

/// How long to wait for something, and how often to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// The wait before the second look; it grows by half each time.
    pub first: Duration,
    /// The longest wait between two looks.
    pub most: Duration,
    /// The longest time altogether.
    pub limit: Duration,
}

impl Patience {
    /// Looks after two seconds, then less and less often, up to every ten seconds.
    pub fn of(limit: Duration) -> Self {
        Self { first: Duration::from_secs(2), most: Duration::from_secs(10), limit }
    }

    /// Begins to wait.
    pub fn begin<'a>(&self, clock: &'a dyn Clock) -> Waits<'a> {
        Waits { patience: *self, clock, start: clock.monotonic(), pause: self.first }
    }
}

/// The waits between look-ups.
pub struct Waits<'a> {
    patience: Patience,
    clock: &'a dyn Clock,
    start: Duration,
    pause: Duration,
}

impl Waits<'_> {
    /// Waits before the next look. `what` is the beginning of the message "the server was not started after 300
    /// seconds".
    ///
    /// # Errors
    /// `timed-out`, retryable, when the time is over.
    pub async fn again(&mut self, what: &str) -> Result<()> {
        if self.clock.monotonic().saturating_sub(self.start) >= self.patience.limit {
            let message = format!("{what} after {} seconds", self.patience.limit.as_secs());
            return Err(Error::new(&cloudron_core::codes::TIMED_OUT, message).retryable(true));
        }
        self.clock.sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(self.patience.most);
        Ok(())
    }
}
