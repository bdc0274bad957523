//! Waits until Amazon's own name servers have a change.

use std::time::{Duration, Instant};

use cloudron_core::{Cancel, Error, Result};

use super::Route53Provider;
use super::client::Repeat;
use crate::{Receipt, SyncStatus, codes};

/// How often, and for how long, to ask whether a change is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncWait {
    /// Delay before the first request; it doubles with each one.
    pub first: Duration,
    /// Total time limit.
    pub limit: Duration,
}

/// Four requests, after 5, 15, 35 and 75 seconds: changes are usually complete within 60 seconds.
impl Default for SyncWait {
    fn default() -> Self {
        Self { first: Duration::from_secs(5), limit: Duration::from_secs(75) }
    }
}

impl SyncWait {
    /// Creates a policy with other times.
    pub fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit }
    }
}

impl Route53Provider {
    /// Waits until all of Amazon's name servers have the changes (GetChange returns INSYNC).
    ///
    /// # Errors
    /// `dns-not-propagated` if the time limit passes, kind `Interrupted` if cancelled, and errors of the service.
    pub async fn wait_in_sync(&self, receipt: &Receipt, wait: &SyncWait, cancel: &Cancel) -> Result<()> {
        let start = Instant::now();
        let mut pause = wait.first.max(Duration::from_millis(1));
        let mut pending: Vec<&str> = receipt.ids.iter().map(String::as_str).collect();
        while !pending.is_empty() {
            let left = wait.limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                let message = format!("Route 53 still takes in the change {}", pending.join(", "));
                return Err(Error::new(&codes::NOT_PROPAGATED, message));
            }
            // The pause normally ends by reaching its time limit.
            let _ = tokio::time::timeout(pause.min(left), cancel.cancelled()).await;
            cancel.check()?;
            pause = pause.saturating_mul(2);
            let mut still = Vec::new();
            for id in pending {
                if !self.is_in_sync(id).await? {
                    still.push(id);
                }
            }
            pending = still;
        }
        Ok(())
    }

    pub(super) async fn sync(&self, receipt: &Receipt) -> Result<SyncStatus> {
        for id in &receipt.ids {
            if !self.is_in_sync(id).await? {
                return Ok(SyncStatus::Pending);
            }
        }
        Ok(SyncStatus::InSync)
    }

    async fn is_in_sync(&self, id: &str) -> Result<bool> {
        let request = || self.client.get_change().id(id).send();
        let answer = self.send(Repeat::Always, request).await;
        let answer = answer.map_err(|failure| failure.error("GetChange"))?;
        Ok(answer.change_info().is_some_and(|info| info.status().as_str() == "INSYNC"))
    }
}
