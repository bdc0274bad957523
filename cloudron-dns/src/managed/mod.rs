//! A plan with everything that it was made from, and writing it.

use std::sync::Arc;

use cloudron_core::{Progress, Result};
use cloudron_dns::{
    Applied, DnsProvider, Intent, Ownership, Plan, PlanOptions, Receipt, RecordKey, Snapshot, Zone, plan_at,
    plan_for, read_for,
};

use super::taken_back::{of_others, taken_back};
use crate::state::{Owned, ZoneLock};

/// Whether the zone may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Access {
    fn lock(self, owned: &Owned) -> Result<Option<ZoneLock>> {
        (self == Self::Write).then(|| owned.lock()).transpose()
    }
}

/// A plan with everything that it was made from.
pub(crate) struct Planned {
    pub provider: Arc<dyn DnsProvider>,
    pub desired: Vec<Intent>,
    pub owned: Owned,
    pub ownership: Ownership,
    pub plan: Plan,
    pub basis: Snapshot,
    /// Of records that were to be taken back, those that are not what was written from here.
    pub left: Vec<RecordKey>,
    pub _lock: Option<ZoneLock>,
}

impl Planned {
    /// Reads the zone and makes the plan. With [`Access::Write`], nobody else on this computer writes the zone until
    /// the result is dropped.
    pub(crate) async fn make(
        provider: Arc<dyn DnsProvider>,
        zone: &Zone,
        owned: Owned,
        desired: Vec<Intent>,
        options: &PlanOptions,
        access: Access,
    ) -> Result<Self> {
        let lock = access.lock(&owned)?;
        let ownership = owned.read()?;
        let (plan, basis) = plan_for(&*provider, zone, &desired, &ownership, options).await?;
        Ok(Self { provider, desired, owned, ownership, plan, basis, left: Vec::new(), _lock: lock })
    }

    /// As [`Self::make`], to take back what is ours of these wishes, however much of the zone that is. What was changed
    /// by others since stays, and is ours no longer.
    pub(crate) async fn removal(
        provider: Arc<dyn DnsProvider>,
        zone: &Zone,
        owned: Owned,
        wishes: &[Intent],
        options: &PlanOptions,
        access: Access,
    ) -> Result<Self> {
        let lock = access.lock(&owned)?;
        let ownership = owned.read()?;
        let desired = taken_back(wishes, &ownership);
        // Of all the wishes, to tell which of them others have changed.
        let basis = read_for(&*provider, zone, wishes, &ownership, options).await?;
        let options = options.clone().allow_mass_deletion(true);
        let mut plan = plan_at(&*provider, &desired, &basis, &ownership, &options);
        let left = of_others(wishes, &basis, &ownership);
        for intent in &desired {
            if let Intent::Exclude(set) = intent {
                plan.ownership.remove(set.key(), set.values());
            }
        }
        Ok(Self { provider, desired, owned, ownership, plan, basis, left, _lock: lock })
    }

    /// Writes the plan; `fresh` says that its basis was read just now. What may become ours is kept before, so that a
    /// run that is killed at any point leaves nothing behind that the next one would take for somebody else's.
    pub(crate) async fn send(&self, fresh: bool, progress: &Progress) -> Result<Receipt> {
        let Self { plan, ownership, owned, .. } = self;
        if plan.changes.is_empty() {
            if plan.ownership != *ownership {
                owned.write(&plan.ownership)?;
            }
            return Ok(Receipt::default());
        }
        owned.write(&ownership.union(&plan.ownership))?;
        let basis = fresh.then_some(&self.basis);
        match cloudron_dns::apply(&*self.provider, plan, basis, progress).await {
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
}
