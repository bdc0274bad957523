//! A zone that is written by runs which may be cut off at any point: what is ours of it is kept beside it.
//!
//! [`ManagedZone::plan`] and [`ManagedZone::removal`] make a plan from what the zone holds and what is ours, and
//! [`ManagedPlan::apply`] writes it. What may become ours is kept before anything is written, and what did become ours
//! after. So a run that is killed leaves nothing behind that the next one would take for somebody else's.
//!
//! Where it is kept is an [`OwnershipStore`]; `OwnershipFile` (feature `managed-file`) is a file for each zone.

#[cfg(feature = "managed-file")]
mod file;
mod removal;
#[cfg(feature = "managed-file")]
mod saved;

#[cfg(feature = "managed-file")]
pub use file::{KEEPING_OWNERSHIP, OwnershipFile, ZoneOwnership};
#[cfg(feature = "managed-file")]
pub use saved::SavedPlan;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cloudron_core::{Error, Progress, Result};

use crate::{
    Applied, DnsProvider, Intent, Ownership, Plan, PlanOptions, Receipt, RecordKey, Snapshot, Zone, codes,
    plan_at, plan_for, read_for,
};
use removal::{of_others, removals};

/// Where it is kept which records of one zone are ours.
pub trait OwnershipStore: fmt::Debug + Send + Sync {
    /// Keeps others from writing the zone until the answer is dropped or the process ends.
    ///
    /// # Errors
    /// `dns-busy` when another run has the right now.
    fn lock(&self) -> Result<OwnershipLock>;

    /// Reads what is ours: nothing when nothing was ever kept.
    ///
    /// # Errors
    /// `dns-state` when it cannot be understood.
    fn read(&self) -> Result<Ownership>;

    /// Keeps what is ours: whole or not at all, on disk when it returns.
    ///
    /// # Errors
    /// An [`Error`] if the store cannot be written.
    fn write(&self, ownership: &Ownership) -> Result<()>;
}

/// The right to write a zone, until it is dropped.
pub struct OwnershipLock(#[allow(dead_code, reason = "held, not read")] Box<dyn Any + Send + Sync>);

impl OwnershipLock {
    /// A right that ends when this value is dropped.
    pub fn held_by(holder: impl Any + Send + Sync) -> Self {
        Self(Box::new(holder))
    }
}

impl fmt::Debug for OwnershipLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnershipLock")
    }
}

/// The kind of access to the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is only read.
    Read,
    /// Nobody else writes it through the same store until the plan is dropped.
    Write,
}

/// A zone at a DNS host, and where it is kept what is ours of it.
#[derive(Clone)]
pub struct ManagedZone {
    provider: Arc<dyn DnsProvider>,
    zone: Zone,
    store: Arc<dyn OwnershipStore>,
}

impl fmt::Debug for ManagedZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedZone")
            .field("zone", &self.zone)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl ManagedZone {
    /// The zone at that host.
    pub fn new(provider: Arc<dyn DnsProvider>, zone: Zone, store: impl OwnershipStore + 'static) -> Self {
        Self { provider, zone, store: Arc::new(store) }
    }

    /// Reads what is ours of it.
    ///
    /// # Errors
    /// As [`OwnershipStore::read`].
    pub fn ownership(&self) -> Result<Ownership> {
        self.store.read()
    }

    /// Reads the zone and makes a plan for what is wanted.
    ///
    /// # Errors
    /// As [`DnsProvider::read`] and [`OwnershipStore::read`], and with [`Access::Write`] as [`OwnershipStore::lock`].
    /// Conflicts are not errors: the plan contains them.
    pub async fn plan(
        &self,
        desired: Vec<Intent>,
        options: &PlanOptions,
        access: Access,
    ) -> Result<ManagedPlan> {
        let lock = self.lock(access)?;
        let ownership = self.store.read()?;
        let (plan, basis) = plan_for(&*self.provider, &self.zone, &desired, &ownership, options).await?;
        Ok(self.planned(plan, (ownership, basis), lock).wanting(desired))
    }

    /// Reads the zone and makes a plan that removes what is ours of these wishes, however much of the zone that is.
    /// Values that others changed since then stay, and are ours no longer.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn removal(
        &self,
        wishes: &[Intent],
        options: &PlanOptions,
        access: Access,
    ) -> Result<ManagedPlan> {
        let lock = self.lock(access)?;
        let ownership = self.store.read()?;
        let desired = removals(wishes, &ownership);
        // Of all the wishes, to tell which of them others have changed.
        let basis = read_for(&*self.provider, &self.zone, wishes, &ownership, options).await?;
        let options = options.clone().allow_mass_deletion(true);
        let mut plan = plan_at(&*self.provider, &desired, &basis, &ownership, &options);
        let left = of_others(wishes, &basis, &ownership);
        for intent in &desired {
            if let Intent::Exclude(set) = intent {
                plan.ownership.remove(set.key(), set.values());
            }
        }
        Ok(ManagedPlan { left, ..self.planned(plan, (ownership, basis), lock).wanting(desired) })
    }

    /// Takes up a plan that was made at another time, when `ownership` was ours.
    ///
    /// # Errors
    /// `dns-plan-stale` when something else is ours by now; `dns-busy`; what the store reports.
    pub fn resume(&self, plan: Plan, ownership: Ownership) -> Result<ManagedPlan> {
        let lock = self.lock(Access::Write)?;
        if self.store.read()? != ownership {
            let message = "what this computer wrote in the zone is not what it was when the plan was made";
            return Err(Error::new(&codes::STALE, message).with_hint("make a new plan"));
        }
        let basis = Snapshot::new(self.zone.clone(), [], false);
        Ok(ManagedPlan { fresh: false, ..self.planned(plan, (ownership, basis), lock) })
    }

    fn lock(&self, access: Access) -> Result<Option<OwnershipLock>> {
        (access == Access::Write).then(|| self.store.lock()).transpose()
    }

    fn planned(
        &self,
        plan: Plan,
        (ownership, basis): (Ownership, Snapshot),
        lock: Option<OwnershipLock>,
    ) -> ManagedPlan {
        let (provider, store) = (self.provider.clone(), self.store.clone());
        let (desired, left) = (Vec::new(), Vec::new());
        ManagedPlan { provider, store, desired, ownership, plan, basis, left, fresh: true, _lock: lock }
    }
}

/// A plan with everything that it was made from.
pub struct ManagedPlan {
    provider: Arc<dyn DnsProvider>,
    store: Arc<dyn OwnershipStore>,
    /// The intents for the zone.
    pub desired: Vec<Intent>,
    /// The records that were ours when the plan was made.
    pub ownership: Ownership,
    /// The plan.
    pub plan: Plan,
    /// The contents of the zone when the plan was made.
    pub basis: Snapshot,
    /// Of records that are to be removed, those that are not what was written from here: they stay.
    pub left: Vec<RecordKey>,
    /// True if the basis was read for this plan, false if the plan was resumed.
    fresh: bool,
    _lock: Option<OwnershipLock>,
}

impl fmt::Debug for ManagedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedPlan")
            .field("plan", &self.plan)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl ManagedPlan {
    fn wanting(mut self, desired: Vec<Intent>) -> Self {
        self.desired = desired;
        self
    }

    /// The DNS host.
    pub fn provider(&self) -> &dyn DnsProvider {
        &*self.provider
    }

    /// Returns what name servers must answer once it is written: what is wanted, and that what is deleted is gone.
    pub fn awaited(&self) -> Vec<Intent> {
        let wanted: BTreeSet<RecordKey> = self.desired.iter().map(Intent::key).collect();
        let others = self.plan.changes.iter().filter(|change| !wanted.contains(change.key()));
        let others = others.map(|change| match change.after() {
            Some(set) => Intent::Exactly(set.clone()),
            None => Intent::Absent(change.key().clone()),
        });
        self.desired.iter().cloned().chain(others).collect()
    }

    /// Writes the plan.
    ///
    /// # Errors
    /// As [`apply`](crate::apply()), and what the store of what is ours reports.
    pub async fn apply(&self, progress: &Progress) -> Result<Receipt> {
        let Self { plan, ownership, store, .. } = self;
        if plan.changes.is_empty() {
            if plan.ownership != *ownership {
                store.write(&plan.ownership)?;
            }
            return Ok(Receipt::default());
        }
        store.write(&ownership.union(&plan.ownership))?;
        let basis = self.fresh.then_some(&self.basis);
        match crate::apply(&*self.provider, plan, basis, progress).await {
            Ok(receipt) => {
                store.write(&plan.ownership)?;
                Ok(receipt)
            }
            Err(failure) => {
                if failure.applied == Applied::Nothing {
                    // What was not written must not be taken for ours when somebody else writes the same.
                    store.write(ownership)?;
                }
                Err(failure.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::memory::MemoryProvider;
    use crate::{Name, Observed, RecordSet, RecordType, Scope, Ttl};

    /// Keeps in memory what is ours, and every state that it was in.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Ownership>>>);

    impl OwnershipStore for Kept {
        fn lock(&self) -> Result<OwnershipLock> {
            Ok(OwnershipLock::held_by(()))
        }

        fn read(&self) -> Result<Ownership> {
            Ok(self.0.lock().unwrap().last().cloned().unwrap_or_else(Ownership::none))
        }

        fn write(&self, ownership: &Ownership) -> Result<()> {
            self.0.lock().unwrap().push(ownership.clone());
            Ok(())
        }
    }

    fn set(owner: &str, value: &str) -> RecordSet {
        RecordSet::parse(Name::parse(owner).unwrap(), Ttl::DEFAULT, RecordType::A, [value]).unwrap()
    }

    fn managed(there: &[RecordSet]) -> (Arc<MemoryProvider>, ManagedZone, Kept) {
        let zone = Zone::new("1", Name::parse("example.com").unwrap());
        let sets = there.iter().cloned().map(Observed::Plain);
        let (provider, kept) =
            (Arc::new(MemoryProvider::new().with_zone(zone.clone(), sets)), Kept::default());
        (provider.clone(), ManagedZone::new(provider, zone, kept.clone()), kept)
    }

    async fn names(provider: &MemoryProvider) -> Vec<String> {
        let zone = Zone::new("1", Name::parse("example.com").unwrap());
        let all = provider.read(&zone, Scope::Zone).await.unwrap();
        all.sets.keys().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn what_may_become_ours_is_kept_before_it_is_written() {
        let (provider, zone, kept) = managed(&[]);
        let wishes = vec![Intent::Exactly(set("my.example.com", "192.0.2.1"))];
        let planned = zone.plan(wishes.clone(), &PlanOptions::default(), Access::Write).await.unwrap();
        planned.apply(&Progress::none()).await.unwrap();
        assert_eq!(names(&provider).await, ["my.example.com. A"]);
        let before_and_after = kept.0.lock().unwrap().clone();
        assert_eq!(before_and_after.len(), 2);
        assert!(before_and_after.iter().all(|ours| ours.owns_all(&set("my.example.com", "192.0.2.1"))));
        // A run that was killed after it wrote, and before it kept that: the next one takes nothing for another's.
        kept.0.lock().unwrap().truncate(1);
        let again = zone.plan(wishes, &PlanOptions::default(), Access::Write).await.unwrap();
        assert!(again.plan.check().is_ok() && again.plan.changes.is_empty());
    }

    #[tokio::test]
    async fn a_removal_leaves_what_others_changed_and_forgets_it() {
        let (provider, zone, _) = managed(&[set("www.example.com", "192.0.2.9")]);
        let wishes = [
            Intent::Exactly(set("my.example.com", "192.0.2.1")),
            Intent::Exactly(set("www.example.com", "192.0.2.1")),
        ];
        let first = zone.plan(wishes[..1].to_vec(), &PlanOptions::default(), Access::Write).await.unwrap();
        first.apply(&Progress::none()).await.unwrap();
        let removal = zone.removal(&wishes, &PlanOptions::default(), Access::Write).await.unwrap();
        assert_eq!(removal.left, [set("www.example.com", "192.0.2.9").key().clone()]);
        removal.apply(&Progress::none()).await.unwrap();
        assert_eq!(names(&provider).await, ["www.example.com. A"]);
        assert_eq!(zone.ownership().unwrap(), Ownership::none());
    }

    #[tokio::test]
    async fn a_plan_of_another_time_is_stale_when_something_else_is_ours() {
        let (_, zone, kept) = managed(&[]);
        let wishes = vec![Intent::Exactly(set("my.example.com", "192.0.2.1"))];
        let planned = zone.plan(wishes, &PlanOptions::default(), Access::Read).await.unwrap();
        let (plan, ours) = (planned.plan.clone(), planned.ownership.clone());
        assert!(zone.resume(plan.clone(), ours.clone()).is_ok());
        kept.write(&Ownership::from(vec![set("a.example.com", "192.0.2.3")])).unwrap();
        assert!(zone.resume(plan, ours).unwrap_err().is(&codes::STALE));
    }
}
