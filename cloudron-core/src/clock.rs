//! The clock as a parameter, so that a test or an embedder can supply it.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

/// Tells the time and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;
    /// Time since some fixed point that never goes backwards: for deadlines and durations.
    fn monotonic(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, time: Duration);
}

/// The system's clock. Waiting needs tokio's timer when the feature `tokio` is on; without it a thread of
/// its own waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

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

    #[cfg(feature = "tokio")]
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[cfg(not(feature = "tokio"))]
    async fn sleep(&self, time: Duration) {
        use std::sync::{Arc, Mutex};
        use std::task::{Poll, Waker};
        let state: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            std::thread::sleep(time);
            let mut state = shared.lock().expect("nothing panics while holding this lock");
            state.0 = true;
            if let Some(waker) = state.1.take() {
                waker.wake();
            }
        });
        std::future::poll_fn(|cx| {
            let mut state = state.lock().expect("nothing panics while holding this lock");
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
