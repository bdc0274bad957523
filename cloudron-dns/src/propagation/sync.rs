//! Waiting for what a DNS host says of its own servers.

use std::time::Duration;

use cloudron_core::{Error, Result};

use crate::{DnsProvider, Receipt, SyncStatus, codes};

/// The pauses before the host is asked whether all its servers have a change, in seconds; the last one repeats.
const PAUSES: [u64; 4] = [5, 10, 20, 40];

/// Waits until the host says that all its own servers have what was written.
///
/// # Errors
/// `dns-unsupported` when the host does not say so, `dns-not-propagated` when the time is over, and what it reports.
pub async fn in_sync(provider: &dyn DnsProvider, receipt: &Receipt, limit: Duration) -> Result<()> {
    if !provider.capabilities().sync_status {
        let message = format!("{} does not say whether its servers have a change", provider.id());
        return Err(Error::new(&codes::UNSUPPORTED, message));
    }
    if receipt.applied.is_empty() && receipt.instructions.is_none() {
        return Ok(());
    }
    let start = tokio::time::Instant::now();
    let pauses = PAUSES.iter().chain(std::iter::repeat(&PAUSES[3])).copied().map(Duration::from_secs);
    for pause in pauses {
        let left = limit.saturating_sub(start.elapsed());
        tokio::time::sleep(pause.min(left)).await;
        if provider.sync_status(receipt).await? == SyncStatus::InSync {
            return Ok(());
        }
        if start.elapsed() >= limit {
            break;
        }
    }
    let message =
        format!("after {} s, {} has not sent the change to all its servers", limit.as_secs(), provider.id());
    Err(Error::new(&codes::NOT_PROPAGATED, message))
}
