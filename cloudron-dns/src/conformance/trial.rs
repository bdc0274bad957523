//! The environment of a check.

use std::sync::Arc;

use cloudron_core::Progress;

use super::{Calls, Done, Fixture, Injection, Outcome, Place, Truth, Wire, ensure, skipped};
use crate::{
    Applied, ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Intent, Name, Observed,
    Ownership, Plan, PlanOptions, Receipt, RecordSet, RecordType, Result, Scope, Snapshot, Ttl, Zone, apply,
    codes, plan_for,
};

/// One check: its place, and the optional capabilities of the fixture.
pub(super) struct Trial<'a> {
    pub(super) fixture: &'a dyn Fixture,
    pub(super) place: &'a Place,
    pub(super) zone: &'a Zone,
    truth: Option<Arc<dyn Truth>>,
    wire: Option<Arc<dyn Wire>>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(fixture: &'a dyn Fixture, place: &'a Place) -> Self {
        let (truth, wire) = (fixture.truth(place), fixture.wire(place));
        Self { fixture, place, zone: &place.zone, truth, wire }
    }

    pub(super) fn provider(&self) -> &dyn DnsProvider {
        &*self.place.provider
    }

    pub(super) fn can(&self) -> Capabilities {
        self.provider().capabilities()
    }

    pub(super) fn name(&self, relative: &str) -> Result<Name> {
        if relative == "@" { Ok(self.zone.apex.clone()) } else { self.zone.apex.below(relative) }
    }

    /// Creates a set with a TTL that every provider supports.
    pub(super) fn set(&self, relative: &str, rtype: RecordType, values: &[&str]) -> Result<RecordSet> {
        RecordSet::parse(self.name(relative)?, Ttl::new(3600)?, rtype, values.iter().copied())
    }

    pub(super) fn a(&self, relative: &str, address: &str) -> Result<RecordSet> {
        self.set(relative, RecordType::A, &[address])
    }

    pub(super) fn txt(&self, relative: &str, texts: &[&str]) -> Result<RecordSet> {
        let values = texts.iter().map(|text| crate::RecordData::txt(*text));
        RecordSet::new(self.name(relative)?, Ttl::new(3600)?, values)
    }

    pub(super) fn needs(&self, rtype: RecordType) -> Done {
        match self.can().types {
            Some(types) if !types.contains(&rtype) => skipped(format!("it has no {rtype} records")),
            _ => Ok(()),
        }
    }

    pub(super) fn needs_preconditions(&self) -> Done {
        if self.can().preconditions { Ok(()) } else { skipped("it does not check preconditions") }
    }

    pub(super) fn needs_batches(&self) -> Done {
        let atomic = self.can().atomicity == Atomicity::Batch;
        if atomic { Ok(()) } else { skipped("its batches are not atomic") }
    }

    pub(super) fn needs_listing(&self) -> Done {
        if self.can().listing { Ok(()) } else { skipped("it does not list zones") }
    }

    pub(super) fn needs_text(&self, bytes: usize) -> Done {
        let most = self.can().max_txt;
        if bytes <= most { Ok(()) } else { skipped(format!("its texts have {most} bytes at most")) }
    }

    pub(super) fn wire(&self) -> Result<&dyn Wire, Outcome> {
        self.wire.as_deref().ok_or_else(|| Outcome::Skipped("the fixture has no wire".into()))
    }

    pub(super) fn truth(&self) -> Result<&dyn Truth, Outcome> {
        self.truth.as_deref().ok_or_else(|| Outcome::Skipped("the fixture has no independent reader".into()))
    }

    pub(super) fn inject(&self, injection: Injection) -> Done {
        if self.wire()?.inject(injection) { Ok(()) } else { skipped("the wire cannot do that") }
    }

    /// Returns the number of requests so far; zero without a wire.
    pub(super) fn calls(&self) -> Calls {
        self.wire.as_ref().map(|wire| wire.calls()).unwrap_or_default()
    }

    pub(super) async fn read(&self, names: &[Name]) -> Result<Snapshot> {
        self.provider().read(self.zone, Scope::Names(names)).await
    }

    /// Writes changes directly, without the planner.
    pub(super) async fn try_write(&self, changes: &[Change]) -> Result<Receipt, ApplyFailure> {
        self.provider().apply(Batch::new(self.zone, changes)).await
    }

    /// Writes one change, with the handle of a snapshot of its name.
    pub(super) async fn write(&self, change: Change) -> Done {
        let read = self.read(std::slice::from_ref(&change.key().name)).await?;
        let changes = [change];
        let batch = Batch::new(self.zone, &changes).with_handle(read.handle.as_ref());
        self.provider().apply(batch).await?;
        Ok(())
    }

    pub(super) async fn plan(
        &self,
        desired: &[Intent],
        ours: &Ownership,
        options: &PlanOptions,
    ) -> Result<(Plan, Snapshot)> {
        plan_for(self.provider(), self.zone, desired, ours, options).await
    }

    /// Brings the zone to the desired state, and returns the number of changed sets.
    pub(super) async fn bring(&self, desired: &[Intent], ours: &mut Ownership) -> Result<usize, Outcome> {
        self.bring_with(desired, ours, &PlanOptions::default()).await
    }

    pub(super) async fn bring_with(
        &self,
        desired: &[Intent],
        ours: &mut Ownership,
        options: &PlanOptions,
    ) -> Result<usize, Outcome> {
        let (plan, basis) = self.plan(desired, ours, options).await?;
        // The ownership that a program stores before it writes.
        kept(&ours.union(&plan.ownership))?;
        apply(self.provider(), &plan, Some(&basis), &Progress::none()).await?;
        *ours = plan.ownership;
        Ok(plan.changes.len())
    }

    /// Adds sets to the zone that are not ours.
    pub(super) async fn others(&self, sets: &[RecordSet]) -> Done {
        let desired: Vec<Intent> = sets.iter().cloned().map(Intent::Exactly).collect();
        self.bring(&desired, &mut Ownership::none()).await.map(|_| ())
    }

    /// Checks that a name has exactly these sets, according to the provider and the independent reader.
    pub(super) async fn holds(&self, name: &Name, sets: &[&RecordSet]) -> Done {
        let mut wanted = sets.to_vec();
        wanted.sort_by(|a, b| a.key().cmp(b.key()));
        let read = self.read(std::slice::from_ref(name)).await?;
        same("it reads", &read.at(name).filter(|s| !self.is_given(s)).collect::<Vec<_>>(), &wanted)?;
        let Some(truth) = &self.truth else { return Ok(()) };
        let there = Snapshot::new(self.zone.clone(), truth.sets(self.zone).await?, true);
        let there: Vec<&Observed> = there.at(name).filter(|s| !self.is_given(s)).collect();
        same("the zone holds", &there, &wanted)
    }

    /// Returns all sets of the zone, including its own SOA and name servers: from the independent reader, or from the
    /// provider if there is none.
    pub(super) async fn everything(&self) -> Result<Vec<Observed>, Outcome> {
        let mut sets = match &self.truth {
            Some(truth) => truth.sets(self.zone).await?,
            None => {
                self.needs_listing()?;
                self.provider().read(self.zone, Scope::Zone).await?.sets.into_values().collect()
            }
        };
        // A serial number counts the changes.
        sets.retain(|set| set.key().rtype != RecordType::SOA);
        sets.sort_by(|a, b| a.key().cmp(b.key()));
        Ok(sets)
    }

    /// Returns whether a set was in the zone from the start.
    fn is_given(&self, set: &Observed) -> bool {
        let key = set.key();
        key.name == self.zone.apex && matches!(key.rtype, RecordType::NS | RecordType::SOA)
    }

    /// Checks that changes are refused as stale, and the zone is unchanged.
    pub(super) async fn late(&self, changes: &[Change], held: &[&RecordSet]) -> Done {
        match self.try_write(changes).await {
            Ok(_) => return Err(Outcome::Failed("it was written".into())),
            Err(failure) => {
                ensure(failure.error.is(&codes::STALE), || format!("the error is {:?}", failure.error))?;
                ensure(failure.applied == Applied::Nothing, || format!("{:?} was applied", failure.applied))?;
            }
        }
        self.holds(&changes[0].key().name, held).await
    }

    /// Checks that changes are refused for any reason, and nothing of them is written.
    pub(super) async fn refused(&self, changes: &[Change]) -> Done {
        let before = self.everything().await?;
        if let Ok(receipt) = self.try_write(changes).await {
            return Err(Outcome::Failed(format!("it was written: {receipt:?}")));
        }
        let after = self.everything().await?;
        ensure(before == after, || format!("it was refused, and the zone changed to {}", shown(&after)))
    }
}

/// Checks that an ownership can be serialized and parsed again.
fn kept(ownership: &Ownership) -> Done {
    let read = serde_json::to_value(ownership).and_then(serde_json::from_value::<Ownership>);
    let same = read.as_ref().is_ok_and(|read| read == ownership);
    ensure(same, || format!("what is ours cannot be kept: {read:?}"))
}

fn same(what: &str, found: &[&Observed], wanted: &[&RecordSet]) -> Done {
    let equal = found.len() == wanted.len() && found.iter().zip(wanted).all(|(f, w)| f.plain() == Some(*w));
    ensure(equal, || {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        format!("{what} [{}] instead of [{}]", shown(found), wanted.join(" and "))
    })
}

/// Formats sets on one line.
pub(super) fn shown<T: ToString>(sets: &[T]) -> String {
    sets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ").replace('\n', " and ")
}
