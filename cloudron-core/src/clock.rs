//! The clock as a parameter, so that a test or an embedder can supply it.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

/// Tells the time and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Returns the current time of day.
    fn now(&self) -> SystemTime;
    /// Returns the time since a fixed point. It never goes backwards; use it for deadlines and durations.
    fn monotonic(&self) -> Duration;
    /// Waits for that long.
    async fn sleep(&self, time: Duration);
}

/// The system's clock, with tokio's timer (feature `tokio`).
#[cfg(feature = "tokio")]
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[cfg(feature = "tokio")]
#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        use std::sync::OnceLock;
        static START: OnceLock<std::time::Instant> = OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
