//! Runs blocking work on its own threads, and stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloudron_core::{Cancel, Error, Result};

/// Runs blocking work outside of the runtime's own threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(shutting_down()),
    }
}

/// Returns the error of work that was interrupted by the end of the runtime.
pub(crate) fn shutting_down() -> Error {
    Error::new(&cloudron_core::codes::INTERRUPTED, "the runtime is shutting down")
}

/// Tells blocking work when to stop: it was cancelled, or its future was dropped.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    cancel: Cancel,
    abandoned: Arc<AtomicBool>,
}

impl Stop {
    /// Creates a signal for work that a caller awaits until the guard is dropped.
    pub(crate) fn new(cancel: &Cancel) -> (Self, OnDrop) {
        let abandoned = Arc::new(AtomicBool::new(false));
        (Self { cancel: cancel.clone(), abandoned: abandoned.clone() }, OnDrop(abandoned))
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Err(Error::new(&cloudron_core::codes::INTERRUPTED, "nobody waits for it any more"));
        }
        self.cancel.check()
    }
}

/// Tells the work, when dropped, that its future was dropped.
pub(crate) struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
