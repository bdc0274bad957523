//! The waits between the tries of one request.

use std::time::Duration;

use cloudron_core::{Clock, RetryPolicy, random};

use super::Failure;

pub(crate) struct Patience<'a> {
    clock: &'a dyn Clock,
    policy: &'a RetryPolicy,
    start: Duration,
    tries: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(clock: &'a dyn Clock, policy: &'a RetryPolicy) -> Self {
        Self { clock, policy, start: clock.monotonic(), tries: 0 }
    }

    /// Waits before the next try; `false` when there is none.
    pub(crate) async fn again(&mut self, failure: &Failure) -> bool {
        let (policy, clock) = (self.policy, self.clock);
        let wait = policy.wait(self.tries, random::unit()).max(failure.wait.unwrap_or_default());
        self.tries += 1;
        let late = clock.monotonic().saturating_sub(self.start) + wait > policy.deadline;
        if !failure.error.is_retryable() || self.tries >= policy.attempts || late {
            return false;
        }
        let (attempt, wait_ms) = (self.tries, wait.as_millis() as u64);
        tracing::info!(attempt, wait_ms, reason = %failure.error, "trying again");
        clock.sleep(wait).await;
        true
    }
}
