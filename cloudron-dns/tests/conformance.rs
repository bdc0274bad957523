//! The kit passes what is right, and no deliberately broken provider.

#![allow(missing_docs)]

use async_trait::async_trait;
use cloudron_dns::conformance::{Fixture, Outcome, Place, run};
use cloudron_dns::memory::MemoryProvider;
use cloudron_dns::{
    ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Name, Observed, Receipt, RecordData,
    RecordSet, RecordType, Result, Scope, Snapshot, SyncStatus, Ttl, Zone,
};

fn zone() -> Zone {
    Zone::new("z", Name::parse("example.com").unwrap())
}

/// A provider with one defect, as real ones had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    WildcardsAreNotFound,
    WildcardsAreNotDeleted,
    TextIsCutAt255Bytes,
    TextLosesBackslashes,
    TextIsQuotedTwice,
    TextBeyondAsciiIsReplaced,
    ListsFirstValueOnly,
    ReadsFirstTypeOnly,
    ReadsFirstHundredOnly,
    TtlIsAlwaysAnHour,
    TtlAloneIsNoChange,
    ZeroIsDropped,
    CaaFlagsAreLost,
    TargetsAreRelative,
    OldValuesStay,
    PreconditionsAreIgnored,
    DeletesDespitePreconditions,
    BatchesAreNotAtomic,
    DeletesTheWholeName,
    UnknownZonesAreEmpty,
    NearIsTakenLiterally,
    NeverInSync,
    ReceiptsAreEmpty,
}

const DEFECTS: [Defect; 23] = [
    Defect::WildcardsAreNotFound,
    Defect::WildcardsAreNotDeleted,
    Defect::TextIsCutAt255Bytes,
    Defect::TextLosesBackslashes,
    Defect::TextIsQuotedTwice,
    Defect::TextBeyondAsciiIsReplaced,
    Defect::ListsFirstValueOnly,
    Defect::ReadsFirstTypeOnly,
    Defect::ReadsFirstHundredOnly,
    Defect::TtlIsAlwaysAnHour,
    Defect::TtlAloneIsNoChange,
    Defect::ZeroIsDropped,
    Defect::CaaFlagsAreLost,
    Defect::TargetsAreRelative,
    Defect::OldValuesStay,
    Defect::PreconditionsAreIgnored,
    Defect::DeletesDespitePreconditions,
    Defect::BatchesAreNotAtomic,
    Defect::DeletesTheWholeName,
    Defect::UnknownZonesAreEmpty,
    Defect::NearIsTakenLiterally,
    Defect::NeverInSync,
    Defect::ReceiptsAreEmpty,
];

struct Broken {
    inner: MemoryProvider,
    defect: Defect,
}

#[async_trait]
impl DnsProvider for Broken {
    fn id(&self) -> &str {
        "broken"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        let zones = self.inner.list_zones(near).await?;
        let literal = |zone: &Zone| near.is_none_or(|near| zone.apex == *near);
        Ok(zones.into_iter().filter(|z| self.defect != Defect::NearIsTakenLiterally || literal(z)).collect())
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        let read = self.inner.read(zone, scope).await;
        let mut read = match read {
            Err(_) if self.defect == Defect::UnknownZonesAreEmpty => Snapshot::new(zone.clone(), [], false),
            read => read?,
        };
        match self.defect {
            Defect::WildcardsAreNotFound => read.sets.retain(|key, _| !key.name.is_wildcard()),
            Defect::ReadsFirstTypeOnly => {
                let mut seen = Vec::new();
                read.sets.retain(|key, _| {
                    let first = !seen.contains(&key.name);
                    seen.push(key.name.clone());
                    first
                });
            }
            Defect::ReadsFirstHundredOnly => {
                read.sets = std::mem::take(&mut read.sets).into_iter().take(100).collect();
            }
            _ => {}
        }
        Ok(read)
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let mut done = Receipt::default();
        let single = self.defect == Defect::BatchesAreNotAtomic;
        let changes: Vec<Change> = batch.changes.iter().filter_map(|c| self.bent(c)).collect();
        for change in &changes {
            self.make_room(batch.zone, change).await?;
            if single {
                done.extend(self.inner.apply(Batch::new(batch.zone, std::slice::from_ref(change))).await?);
            }
        }
        if !single {
            done = self.inner.apply(Batch::new(batch.zone, &changes)).await?;
        }
        match self.defect {
            Defect::ReceiptsAreEmpty => Ok(Receipt::default()),
            Defect::TtlAloneIsNoChange | Defect::WildcardsAreNotDeleted => {
                Ok(Receipt::new(batch.changes.iter().map(|c| c.key().clone())))
            }
            _ => Ok(done),
        }
    }

    async fn sync_status(&self, receipt: &Receipt) -> Result<SyncStatus> {
        match self.defect {
            Defect::NeverInSync => Ok(SyncStatus::Pending),
            _ => self.inner.sync_status(receipt).await,
        }
    }
}

impl Broken {
    /// A change as this provider makes it.
    fn bent(&self, change: &Change) -> Option<Change> {
        match change {
            Change::Create(new) => Some(Change::Create(self.bent_set(new))),
            Change::Replace { old, new }
                if self.defect == Defect::TtlAloneIsNoChange && old.same_values(new) =>
            {
                None
            }
            Change::Replace { old, new } if self.defect == Defect::OldValuesStay => {
                let all = old.values().iter().chain(new.values()).cloned();
                let new = new.with_values(all).unwrap().unwrap();
                Some(Change::Replace { old: old.clone(), new })
            }
            Change::Replace { old, new } => {
                Some(Change::Replace { old: self.bent_set(old), new: self.bent_set(new) })
            }
            Change::Delete(old) => {
                let silent = self.defect == Defect::WildcardsAreNotDeleted && old.name().is_wildcard();
                (!silent).then(|| Change::Delete(self.bent_set(old)))
            }
        }
    }

    fn bent_set(&self, set: &RecordSet) -> RecordSet {
        let values = set.values().iter().map(|value| self.bent_value(value, set.name()));
        let most = if self.defect == Defect::ListsFirstValueOnly { 1 } else { usize::MAX };
        let bent = set.with_values(values.take(most)).unwrap().unwrap();
        match self.defect {
            Defect::TtlIsAlwaysAnHour => bent.with_ttl(Ttl::new(3600).unwrap()),
            _ => bent,
        }
    }

    fn bent_value(&self, value: &RecordData, owner: &Name) -> RecordData {
        let text = |bend: &dyn Fn(Vec<u8>) -> Vec<u8>| match value {
            RecordData::Txt(text) => RecordData::txt(bend(text.joined())),
            other => other.clone(),
        };
        match self.defect {
            Defect::TextIsCutAt255Bytes => text(&|t| t.into_iter().take(255).collect()),
            Defect::TextLosesBackslashes => text(&|t| t.into_iter().filter(|b| *b != b'\\').collect()),
            Defect::TextIsQuotedTwice => text(&|t| [b"\"", &t[..], b"\""].concat()),
            Defect::TextBeyondAsciiIsReplaced => {
                text(&|t| t.into_iter().map(|b| if b.is_ascii() { b } else { b'?' }).collect())
            }
            Defect::ZeroIsDropped => match value.clone() {
                RecordData::Mx { preference: 0, exchange } => RecordData::Mx { preference: 10, exchange },
                RecordData::Srv { priority: 0, weight, port, target } => {
                    RecordData::Srv { priority: 10, weight, port, target }
                }
                other => other,
            },
            Defect::CaaFlagsAreLost => match value.clone() {
                RecordData::Caa { tag, value, .. } => RecordData::Caa { flags: 0, tag, value },
                other => other,
            },
            Defect::TargetsAreRelative => match value.clone() {
                RecordData::Cname(target) => {
                    let zone = owner.parent().unwrap();
                    RecordData::Cname(zone.below(target.without_dot()).unwrap())
                }
                other => other,
            },
            _ => value.clone(),
        }
    }

    /// Changes the zone so that the precondition of a change holds, or more than that.
    async fn make_room(&self, zone: &Zone, change: &Change) -> Result<(), ApplyFailure> {
        let name = change.key().name.clone();
        let read = self.inner.read(zone, Scope::Names(std::slice::from_ref(&name))).await?;
        let there = read.get(change.key()).cloned();
        let deletes = matches!(change, Change::Delete(_));
        let mut first = Vec::new();
        match self.defect {
            Defect::PreconditionsAreIgnored if there.as_ref() != change.before() => {
                first.extend(forced(there, change))
            }
            Defect::DeletesDespitePreconditions if deletes && there.as_ref() != change.before() => {
                first.extend(forced(there, change));
            }
            Defect::DeletesTheWholeName if deletes => {
                let others = read.at(&name).filter_map(Observed::plain).filter(|s| s.key() != change.key());
                first.extend(others.cloned().map(Change::Delete));
            }
            _ => {}
        }
        if !first.is_empty() {
            self.inner.apply(Batch::new(zone, &first)).await?;
        }
        Ok(())
    }
}

fn forced(there: Option<RecordSet>, change: &Change) -> Option<Change> {
    match (there, change.before().cloned()) {
        (Some(old), Some(new)) => Some(Change::Replace { old, new }),
        (Some(old), None) => Some(Change::Delete(old)),
        (None, Some(new)) => Some(Change::Create(new)),
        (None, None) => None,
    }
}

struct With(Defect);

#[async_trait]
impl Fixture for With {
    async fn fresh(&self) -> Result<Place> {
        let inner = MemoryProvider::new().with_zone(zone(), []);
        Ok(Place { provider: Box::new(Broken { inner, defect: self.0 }), zone: zone() })
    }
}

#[tokio::test]
async fn a_provider_without_defect_passes_every_check() {
    let report = run(&With(Defect::None)).await;
    assert!(report.outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Passed), "{report}");
    assert!(report.outcomes.len() >= 34, "{}", report.outcomes.len());
}

#[tokio::test]
async fn every_deliberate_defect_is_caught() {
    for defect in DEFECTS {
        let report = run(&With(defect)).await;
        assert!(!report.passed(), "{defect:?} was not caught");
    }
}

#[tokio::test]
async fn a_provider_is_not_failed_for_what_it_says_that_it_cannot_do() {
    struct Modest;

    #[async_trait]
    impl Fixture for Modest {
        async fn fresh(&self) -> Result<Place> {
            let mut capabilities = Capabilities::new(Atomicity::Batch);
            capabilities.types = Some(vec![RecordType::A, RecordType::AAAA, RecordType::TXT, RecordType::MX]);
            (capabilities.max_batch, capabilities.max_txt, capabilities.sync_status) = (10, 300, true);
            let provider = MemoryProvider::new().with_zone(zone(), []).with_capabilities(capabilities);
            Ok(Place { provider: Box::new(provider), zone: zone() })
        }
    }

    let report = run(&Modest).await;
    assert!(report.passed(), "{report}");
    assert!(report.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Skipped(_))));
}
