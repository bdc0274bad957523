//! Shared state of the routes.

use std::ops::Deref;
use std::sync::Arc;

use super::download_grants::Downloads;
use super::failures::Failures;
use super::hashing::Hashing;
use super::throttle::Throttle;
use crate::Result;
use crate::health::Checks;
use crate::jobs::Queue;
use crate::state::State;

/// The HTTP API of a running server.
pub(crate) struct App {
    pub(crate) state: Arc<State>,
    pub(crate) health: Checks,
    pub(crate) jobs: Arc<Queue>,
    pub(crate) downloads: Downloads,
    /// Failed logins and wrong setup tokens.
    pub(crate) throttle: Throttle,
    pub(crate) failures: Failures,
    pub(crate) hashing: Hashing,
}

impl Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl App {
    /// Returns a new API without any requests yet.
    ///
    /// # Errors
    /// `io` if the password hashing thread cannot be started.
    pub(crate) fn new(state: Arc<State>) -> Result<Self> {
        let health = Checks::new(state.clone());
        let jobs = Arc::new(Queue::new(state.clone(), health.clone()));
        Ok(Self {
            state,
            health,
            jobs,
            downloads: Downloads::default(),
            throttle: Throttle::default(),
            failures: Failures::default(),
            hashing: Hashing::start()?,
        })
    }
}
