//! `health`: the server is healthy.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::Value;

use crate::codes;
use crate::steps::{Check, Context, Step, Undo};

/// Checks the health of the server once.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Returns what a healthy server reports about itself. It must not contain secrets.
    ///
    /// # Errors
    /// Any error: the reason why it is not healthy yet.
    async fn probe(&self, context: &Context) -> Result<Value>;
}

/// Probes until the server is healthy or the deadline passed.
pub struct Health {
    probe: Arc<dyn Probe>,
    deadline: Duration,
}

impl Health {
    /// Creates the step, which probes at growing intervals, from 50 ms to 1 s.
    pub fn new(probe: Arc<dyn Probe>, deadline: Duration) -> Self {
        Self { probe, deadline }
    }
}

#[async_trait]
impl Step for Health {
    fn id(&self) -> &'static str {
        "health"
    }

    fn plan(&self) -> String {
        "Wait until the server is healthy".into()
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        // The server may have become unhealthy since: always probe.
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let start = context.clock.monotonic();
        let mut wait = Duration::from_millis(50);
        loop {
            context.cancel.check()?;
            let error = match self.probe.probe(context).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if context.clock.monotonic().saturating_sub(start) + wait > self.deadline {
                let message =
                    format!("the server is not healthy after {} s: {error}", self.deadline.as_secs());
                return Err(Error::new(&codes::UNHEALTHY, message).with_source(error));
            }
            context.clock.sleep(wait).await;
            wait = (wait * 3 / 2).min(Duration::from_secs(1));
        }
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}
