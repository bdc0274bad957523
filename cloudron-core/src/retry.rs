//! Retries of remote calls after transient failures.

use std::time::Duration;

use crate::{Clock, Result, random};

/// The number of attempts of a call and the delays between them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Delay before the first retry; it doubles with each retry.
    pub base: Duration,
    /// Maximum delay before a retry.
    pub cap: Duration,
    /// Maximum number of calls, including the first one.
    pub attempts: u32,
    /// Maximum time from the first call to the start of a retry.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(400),
            cap: Duration::from_secs(20),
            attempts: 6,
            deadline: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// Returns the default policy with another number of calls.
    pub fn attempts(attempts: u32) -> Self {
        Self { attempts, ..Self::default() }
    }

    /// Returns the policy with another deadline.
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Returns the policy with other delays.
    pub fn waits(self, base: Duration, cap: Duration) -> Self {
        Self { base, cap, ..self }
    }

    /// Returns the delay before retry number `n` (from 0), for a random number from 0 to 1: anywhere from zero to the
    /// doubled base ("full jitter", which spreads callers best).
    pub fn wait(&self, n: u32, random: f64) -> Duration {
        let ceiling = self.base.saturating_mul(1u32.checked_shl(n).unwrap_or(u32::MAX)).min(self.cap);
        ceiling.mul_f64(random.clamp(0.0, 1.0))
    }

    /// Begins to count the calls of one operation.
    pub fn begin<'a>(&'a self, clock: &'a dyn Clock) -> Retries<'a> {
        Retries { policy: self, clock, start: clock.monotonic(), failures: 0 }
    }

    /// Calls `operation` until it succeeds, fails for good, or the policy is used up.
    ///
    /// # Errors
    /// The last error of `operation`.
    pub async fn run<T, F>(&self, clock: &dyn Clock, mut operation: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut retries = self.begin(clock);
        loop {
            let error = match operation().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if !error.is_retryable() || !retries.again(&error, None).await {
                return Err(error);
            }
        }
    }
}

/// The calls of one operation, made again while its policy allows. Every loop that repeats something waits here.
pub struct Retries<'a> {
    policy: &'a RetryPolicy,
    clock: &'a dyn Clock,
    start: Duration,
    failures: u32,
}

impl Retries<'_> {
    /// Counts a failure and says how long to wait before the next call, at least as long as the other side asked for;
    /// `None` when there is no further call.
    pub fn next_wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let wait = self.policy.wait(self.failures, random::unit()).max(asked.unwrap_or_default());
        self.failures += 1;
        let at = self.clock.monotonic().saturating_sub(self.start).saturating_add(wait);
        (self.failures < self.policy.attempts && at <= self.policy.deadline).then_some(wait)
    }

    /// Waits before the next call after a passing failure, at least as long as the other side asked for; `false` when
    /// there is no further call.
    pub async fn again(&mut self, reason: &(dyn std::fmt::Display + Sync), asked: Option<Duration>) -> bool {
        let Some(wait) = self.next_wait(asked) else { return false };
        self.wait(reason, wait).await;
        true
    }

    /// Waits as long as [`next_wait`](Self::next_wait) said.
    pub async fn wait(&self, reason: &(dyn std::fmt::Display + Sync), wait: Duration) {
        tracing::info!(attempt = self.failures, wait_ms = wait.as_millis() as u64, %reason, "trying again");
        self.clock.sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::SystemTime;

    use super::*;
    use crate::{Error, codes};

    #[derive(Default)]
    struct Still(Mutex<Vec<Duration>>);

    #[async_trait::async_trait]
    impl Clock for Still {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
        fn monotonic(&self) -> Duration {
            self.0.lock().unwrap().iter().sum()
        }
        async fn sleep(&self, time: Duration) {
            self.0.lock().unwrap().push(time);
        }
    }

    fn failing(retryable: bool) -> Error {
        Error::new(&codes::FAILED, "no").retryable(retryable)
    }

    #[tokio::test]
    async fn a_passing_failure_is_repeated_until_it_succeeds() {
        let clock = Still::default();
        let mut calls = 0;
        let answer = RetryPolicy::default()
            .run(&clock, || {
                calls += 1;
                let result = if calls < 4 { Err(failing(true)) } else { Ok(calls) };
                async move { result }
            })
            .await;
        assert_eq!(answer.unwrap(), 4);
        assert_eq!(clock.0.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_lasting_failure_is_not_repeated() {
        let mut calls = 0;
        let answer: Result<()> = RetryPolicy::default()
            .run(&Still::default(), || {
                calls += 1;
                async { Err(failing(false)) }
            })
            .await;
        assert!(answer.is_err());
        assert_eq!(calls, 1);
    }

    #[tokio::test]
    async fn attempts_and_deadline_bound_the_work() {
        let mut calls = 0;
        let _: Result<()> = RetryPolicy::attempts(3)
            .run(&Still::default(), || {
                calls += 1;
                async { Err(failing(true)) }
            })
            .await;
        assert_eq!(calls, 3);
        let clock = Still::default();
        let policy = RetryPolicy::attempts(1000).within(Duration::from_secs(5));
        let _: Result<()> = policy.run(&clock, || async { Err(failing(true)) }).await;
        assert!(clock.monotonic() <= Duration::from_secs(5));
    }

    #[tokio::test]
    async fn what_the_other_side_asks_for_is_waited_and_bounded_by_the_deadline() {
        let clock = Still::default();
        let policy = RetryPolicy::default();
        let mut retries = policy.begin(&clock);
        assert!(retries.again(&"busy", Some(Duration::from_secs(30))).await);
        assert!(clock.monotonic() >= Duration::from_secs(30));
        for endless in [Duration::from_secs(1000), Duration::MAX] {
            assert!(!policy.begin(&clock).again(&"busy", Some(endless)).await);
        }
        assert!(clock.monotonic() < Duration::from_secs(60));
    }

    #[test]
    fn a_wait_grows_to_its_cap() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(0, 1.0), Duration::from_millis(400));
        assert_eq!(policy.wait(1, 1.0), Duration::from_millis(800));
        assert_eq!(policy.wait(40, 1.0), policy.cap);
        assert_eq!(policy.wait(3, 0.0), Duration::ZERO);
    }
}
