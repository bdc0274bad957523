//! Asking long work to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result, codes};

/// A flag that asks long work to stop at its next safe point. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns early from work that was asked to stop.
    ///
    /// # Errors
    /// `interrupted` when it was.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(&codes::INTERRUPTED, "stopped on request"));
        }
        Ok(())
    }
}
