//! Cancellation of long-running work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::{Error, Result, codes};

/// A flag that asks long-running work to stop at its next safe point. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    raised: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Cancel {
    /// Creates a flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Returns whether the work was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Returns an error if the work was asked to stop.
    ///
    /// # Errors
    /// `interrupted` if it was.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(&codes::INTERRUPTED, "stopped on request"));
        }
        Ok(())
    }

    /// Waits until the work is asked to stop.
    pub async fn cancelled(&self) {
        std::future::poll_fn(|cx| {
            let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // Checked under the lock, so that a stop between check and registration is not missed.
            if self.is_cancelled() {
                return Poll::Ready(());
            }
            if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_stop_is_woken() {
        let cancel = Cancel::new();
        assert!(cancel.check().is_ok());
        let waiting = tokio::spawn({
            let cancel = cancel.clone();
            async move { cancel.cancelled().await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        cancel.cancel();
        waiting.await.unwrap();
        cancel.cancelled().await;
        assert!(cancel.check().unwrap_err().is(&codes::INTERRUPTED));
    }
}
