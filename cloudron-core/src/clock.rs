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

/// The system's clock. With the feature `tokio`, it waits with tokio's timer; otherwise it waits in a separate thread.
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
