//! Writing a plan, and keeping what is ours.

use cloudron_core::{Progress, Result};
use cloudron_dns::{Applied, DnsProvider, Ownership, Plan, Receipt, Snapshot};

use crate::state::Owned;

/// Writes the plan. What may become ours is kept before, so that a run that is killed at any point leaves nothing
/// behind that the next one would take for somebody else's.
pub(crate) async fn send(
    provider: &dyn DnsProvider,
    owned: &Owned,
    ownership: &Ownership,
    plan: &Plan,
    basis: Option<&Snapshot>,
    progress: &Progress,
) -> Result<Receipt> {
    if plan.changes.is_empty() {
        if plan.ownership != *ownership {
            owned.write(&plan.ownership)?;
        }
        return Ok(Receipt::default());
    }
    owned.write(&ownership.union(&plan.ownership))?;
    match cloudron_dns::apply(provider, plan, basis, progress).await {
        Ok(receipt) => {
            owned.write(&plan.ownership)?;
            Ok(receipt)
        }
        Err(failure) => {
            if failure.applied == Applied::Nothing {
                // What was not written must not be taken for ours when somebody else writes the same.
                owned.write(ownership)?;
            }
            Err(failure.into())
        }
    }
}
