//! A provider with one defect, on top of a correct one.

use std::sync::Mutex;

use async_trait::async_trait;
use cloudron_dns::{
    Applied, ApplyFailure, Batch, Capabilities, Change, DnsProvider, Name, Observed, Receipt, RecordData,
    RecordSet, RecordType, Result, Scope, Snapshot, SyncStatus, Ttl, Zone, codes,
};

use crate::defects::Defect;
use crate::faulty::Faulty;

pub struct Broken {
    pub inner: Faulty,
    pub defect: Defect,
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
        let listed = self.inner.list_zones(near).await;
        let mut zones = match listed {
            Err(_) if self.defect == Defect::FailedListIsEmpty => return Ok(Vec::new()),
            listed => listed?,
        };
        let Some(near) = near else { return Ok(zones) };
        match self.defect {
            Defect::NearIsTakenLiterally => zones.retain(|z| z.apex == *near),
            Defect::FirstZoneOnly => zones.truncate(1),
            Defect::ZonesByEndOfText => {
                zones.retain(|z| near.without_dot().ends_with(z.apex.without_dot()));
                zones.truncate(1);
            }
            Defect::EveryNameHasAZone => zones.push(Zone::new("new", near.clone())),
            _ => {}
        }
        Ok(zones)
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        if self.defect == Defect::ReadsEveryNameForItself
            && let Scope::Names(names) = scope
        {
            for name in names {
                self.inner.read(zone, Scope::Names(std::slice::from_ref(name))).await?;
            }
        }
        let zone = &self.zone(zone);
        let mut read = match self.inner.read(zone, scope).await {
            Err(error) if self.hides(&error) => Snapshot::new(zone.clone(), [], false),
            read => read?,
        };
        if self.defect == Defect::ReadsPagesOfTwenty {
            for _ in 1..read.sets.len().div_ceil(20) {
                self.inner.server.read_request()?;
            }
        }
        if self.defect == Defect::WildcardsAnswerForOthers
            && let Scope::Names(names) = scope
        {
            self.answer_by_wildcards(zone, names, &mut read).await?;
        }
        self.bend_reading(&mut read);
        Ok(read)
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let zone = &self.zone(batch.zone);
        let keys = batch.changes.iter().map(|c| c.key().clone());
        let all = Receipt::new(keys).with_id("1");
        if self.defect == Defect::ReadsWhatItWished {
            wished().lock().unwrap().extend(batch.changes.iter().cloned());
            return Ok(all);
        }
        if self.defect == Defect::PlansWhatItRefuses && batch.changes.iter().any(is_null_mx) {
            return Err(cloudron_dns::Error::new(&codes::UNSUPPORTED, "it takes no such target").into());
        }
        let mut changes: Vec<Change> = batch.changes.iter().filter_map(|c| self.bent(zone, c)).collect();
        if self.defect == Defect::PreconditionsAreCheckedApart {
            changes = self.checked(zone, &changes).await?;
        }
        for change in &changes {
            self.make_room(zone, change).await?;
        }
        let one_by_one = matches!(self.defect, Defect::BatchesAreNotAtomic | Defect::WritesEverySetForItself);
        let size = if one_by_one { 1 } else { changes.len().max(1) };
        if self.defect == Defect::DeletesBeforeItCreates {
            changes = split(&changes);
        }
        let size = if self.defect == Defect::DeletesBeforeItCreates { 1 } else { size };
        for changes in changes.chunks(size) {
            match self.inner.apply(Batch::new(zone, changes)).await {
                Ok(_) => {}
                Err(failure) => return self.bent_failure(failure, all),
            }
        }
        self.after(zone, &changes).await?;
        Ok(if self.defect == Defect::ReceiptsAreEmpty { Receipt::default() } else { all })
    }

    async fn sync_status(&self, receipt: &Receipt) -> Result<SyncStatus> {
        match self.defect {
            Defect::NeverInSync => Ok(SyncStatus::Pending),
            _ => self.inner.sync_status(receipt).await,
        }
    }
}

/// Changes that were never written.
fn wished() -> &'static Mutex<Vec<Change>> {
    static WISHED: Mutex<Vec<Change>> = Mutex::new(Vec::new());
    &WISHED
}

fn is_null_mx(change: &Change) -> bool {
    let null = |value: &RecordData| matches!(value, RecordData::Mx { exchange, .. } if exchange.is_root());
    change.after().is_some_and(|set| set.values().iter().any(null))
}

/// Splits every replacement into a deletion and a creation.
fn split(changes: &[Change]) -> Vec<Change> {
    let apart = |change: &Change| match change.clone() {
        Change::Replace { old, new } => vec![Change::Delete(old), Change::Create(new)],
        other => vec![other],
    };
    changes.iter().flat_map(apart).collect()
}

impl Broken {
    fn zone(&self, zone: &Zone) -> Zone {
        match self.defect {
            Defect::ZonesAreMixed => Zone::new("z", "example.com".parse().unwrap()),
            _ => zone.clone(),
        }
    }

    fn hides(&self, error: &cloudron_dns::Error) -> bool {
        match self.defect {
            Defect::UnknownZonesAreEmpty => error.is(&codes::ZONE_NOT_FOUND),
            Defect::FailedReadsAreEmpty | Defect::FailedPagesAreTheEnd => !error.is(&codes::ZONE_NOT_FOUND),
            _ => false,
        }
    }

    fn bend_reading(&self, read: &mut Snapshot) {
        let most = match self.defect {
            Defect::ReadsTwentyOnly => 20,
            Defect::ReadsAHundredOnly => 100,
            Defect::ReadsTwoHundredOnly => 200,
            Defect::ReadsThreeHundredOnly => 300,
            _ => usize::MAX,
        };
        read.sets = std::mem::take(&mut read.sets).into_iter().take(most).collect();
        match self.defect {
            Defect::NeverComplete => read.complete = false,
            Defect::WildcardsAreNotFound => read.sets.retain(|key, _| !key.name.is_wildcard()),
            Defect::OpaqueIsInvisible => read.sets.retain(|_, set| set.plain().is_some()),
            Defect::ReadsFirstTypeOnly => {
                let mut seen = Vec::new();
                read.sets.retain(|key, _| {
                    let first = !seen.contains(&key.name);
                    seen.push(key.name.clone());
                    first
                });
            }
            Defect::ReadsWhatItWished => {
                for change in wished().lock().unwrap().iter() {
                    match change.after() {
                        Some(set) => read.sets.insert(set.key().clone(), Observed::Plain(set.clone())),
                        None => read.sets.remove(change.key()),
                    };
                }
            }
            _ => {}
        }
    }

    async fn answer_by_wildcards(&self, zone: &Zone, names: &[Name], read: &mut Snapshot) -> Result<()> {
        let all = self.inner.server.all(zone).await;
        let wildcard = zone.apex.below("*")?;
        for name in names.iter().filter(|n| n.is_below(&zone.apex) && all.at(n).next().is_none()) {
            for set in all.at(&wildcard).filter_map(Observed::plain) {
                let set = RecordSet::new(name.clone(), set.ttl(), set.values().to_vec())?;
                read.sets.insert(set.key().clone(), Observed::Plain(set));
            }
        }
        Ok(())
    }

    fn bent_failure(&self, failure: ApplyFailure, all: Receipt) -> Result<Receipt, ApplyFailure> {
        let ApplyFailure { error, applied } = failure;
        let cut = applied == Applied::Unknown;
        let ignored = match self.defect {
            Defect::CutIsDone => cut,
            Defect::RefusedIsDone => error.is(&codes::REFUSED),
            Defect::UnknownZonesAreWritten => error.is(&codes::ZONE_NOT_FOUND),
            Defect::OutsideOfTheZoneIsIgnored | Defect::NameServersAreIgnored => {
                error.is(&codes::UNSUPPORTED)
            }
            Defect::CnameConflictsAreIgnored => error.is(&codes::CONFLICT),
            Defect::SameIsDoneAlready => error.is(&codes::STALE) && error.message().contains("192.0.2.1"),
            Defect::GoneIsDeleted => error.is(&codes::STALE) && error.message().contains("nothing"),
            _ => false,
        };
        if ignored {
            return Ok(all);
        }
        let applied = match self.defect {
            Defect::CutIsNothing | Defect::DeletesBeforeItCreates => Applied::Nothing,
            Defect::RefusedIsUnknown => Applied::Unknown,
            _ => applied,
        };
        Err(ApplyFailure { error, applied })
    }

    /// Returns the changes that fit the current state, after a moment in which others may write.
    async fn checked(&self, zone: &Zone, changes: &[Change]) -> Result<Vec<Change>, ApplyFailure> {
        let before = self.inner.server.all(zone).await;
        for change in changes {
            if before.get(change.key()) != change.before() {
                return Err(cloudron_dns::Error::new(&codes::STALE, change.key().to_string()).into());
            }
        }
        tokio::task::yield_now().await;
        let now = self.inner.server.all(zone).await;
        let force = |change: &Change| forced(now.get(change.key()).cloned(), change.after().cloned());
        Ok(changes.iter().filter_map(force).collect())
    }

    /// Returns a change in the form that this provider makes.
    fn bent(&self, zone: &Zone, change: &Change) -> Option<Change> {
        match change {
            Change::Create(new)
                if self.defect == Defect::DropsWhatHasNoPlace && new.rtype() == RecordType::DS =>
            {
                None
            }
            Change::Replace { new, .. }
                if (self.defect, new.rtype()) == (Defect::CnamesKeepTheirTarget, RecordType::CNAME)
                    || (self.defect, new.rtype()) == (Defect::KeysKeepTheirTag, RecordType::DS) =>
            {
                None
            }
            Change::Create(new) => Some(Change::Create(self.bent_set(zone, new))),
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
                Some(Change::Replace { old: self.bent_set(zone, old), new: self.bent_set(zone, new) })
            }
            Change::Delete(old) if self.defect == Defect::DeletesFirstValueOnly => {
                let left = old.with_values(old.values()[1..].iter().cloned()).unwrap();
                Some(left.map_or_else(
                    || Change::Delete(old.clone()),
                    |new| Change::Replace { old: old.clone(), new },
                ))
            }
            Change::Delete(old) => {
                let silent = self.defect == Defect::WildcardsAreNotDeleted && old.name().is_wildcard();
                (!silent).then(|| Change::Delete(self.bent_set(zone, old)))
            }
        }
    }

    fn bent_set(&self, zone: &Zone, set: &RecordSet) -> RecordSet {
        let mut values: Vec<RecordData> =
            set.values().iter().map(|value| self.bent_value(value, zone)).collect();
        match self.defect {
            Defect::FirstValueOnly => values.truncate(1),
            Defect::OnePreferenceForAll => one_preference(&mut values),
            _ => {}
        }
        let bent = set.with_values(values).unwrap().unwrap();
        match self.defect {
            Defect::TtlIsAlwaysAnHour => bent.with_ttl(Ttl::new(3600).unwrap()),
            Defect::NamesLoseTheZoneTwice => {
                let end = format!(".{}", zone.apex.without_dot());
                let relative = set.name().without_dot().replace(&end, "");
                let relative = relative.replace(zone.apex.without_dot(), "@");
                let name = if relative == "@" { Ok(zone.apex.clone()) } else { zone.apex.below(&relative) };
                RecordSet::new(name.unwrap(), bent.ttl(), bent.values().to_vec()).unwrap()
            }
            _ => bent,
        }
    }

    fn bent_value(&self, value: &RecordData, zone: &Zone) -> RecordData {
        match value.clone() {
            RecordData::Txt(text) => RecordData::txt(self.bent_text(text.joined(), zone)),
            RecordData::Mx { preference: 0, exchange } if self.defect == Defect::ZeroPreferenceIsTen => {
                RecordData::Mx { preference: 10, exchange }
            }
            RecordData::Srv { priority, weight: 0, port, target }
                if self.defect == Defect::ZeroWeightIsOne =>
            {
                RecordData::Srv { priority, weight: 1, port, target }
            }
            RecordData::Caa { tag, value, .. } if self.defect == Defect::CaaFlagsAreLost => {
                RecordData::Caa { flags: 0, tag, value }
            }
            RecordData::Caa { flags, tag, value } => {
                let dot = match self.defect {
                    Defect::CaaEndsInADot => tag != "iodef",
                    Defect::ReportsEndInADot => tag == "iodef",
                    _ => false,
                };
                let value = if dot { [&value[..], b"."].concat() } else { value };
                RecordData::Caa { flags, tag, value }
            }
            RecordData::Cname(target) if self.defect == Defect::TargetsAreRelative => {
                RecordData::Cname(zone.apex.below(target.without_dot()).unwrap())
            }
            RecordData::Cname(target) if self.defect == Defect::TopTargetsAreLost && target == zone.apex => {
                RecordData::Cname(Name::root())
            }
            other => other,
        }
    }

    fn bent_text(&self, text: Vec<u8>, zone: &Zone) -> Vec<u8> {
        let only = |keep: &dyn Fn(u8) -> bool| text.iter().copied().filter(|b| keep(*b)).collect::<Vec<_>>();
        match self.defect {
            Defect::TextIsCutAt255Bytes => text[..text.len().min(255)].to_vec(),
            Defect::TextPiecesAreSpaced => text.chunks(255).collect::<Vec<_>>().join(&b' '),
            Defect::LastPieceIsLost => text[..text.len().min(510)].to_vec(),
            Defect::TextLosesBackslashes => only(&|b| b != b'\\'),
            Defect::TextLosesQuotes => only(&|b| b != b'"'),
            Defect::TextEscapesAreResolved => {
                String::from_utf8_lossy(&text).replace(r"\052", "*").into_bytes()
            }
            Defect::TextIsQuotedTwice => [b"\"", &text[..], b"\""].concat(),
            Defect::TextEndsAtSemicolon => text.split(|b| *b == b';').next().unwrap().to_vec(),
            Defect::TextBeyondAsciiIsReplaced => {
                text.into_iter().map(|b| if b.is_ascii() { b } else { b'?' }).collect()
            }
            Defect::TextIsLowerCase => text.to_ascii_lowercase(),
            Defect::TextIsTrimmed => text.trim_ascii().to_vec(),
            Defect::TextAtSignIsTheZone if text == b"@" => zone.apex.without_dot().into(),
            _ => text,
        }
    }

    /// Changes the zone so that the precondition of a change, or more than that, is fulfilled.
    async fn make_room(&self, zone: &Zone, change: &Change) -> Result<(), ApplyFailure> {
        let Ok(memory) = self.inner.server.memory(zone) else { return Ok(()) };
        let all = self.inner.server.all(zone).await;
        let name = &change.key().name;
        let there = all.get(change.key()).cloned();
        let deletes = matches!(change, Change::Delete(_));
        let others = |chosen: &dyn Fn(&RecordSet) -> bool| {
            let sets = all.sets.values().filter_map(Observed::plain).filter(|s| s.key() != change.key());
            sets.filter(|s| chosen(s)).cloned().map(Change::Delete).collect::<Vec<_>>()
        };
        let first = match self.defect {
            Defect::PreconditionsAreIgnored if there.as_ref() != change.before() => {
                forced(there, change.before().cloned()).into_iter().collect()
            }
            Defect::DeletesDespitePreconditions if deletes && there.as_ref() != change.before() => {
                forced(there, change.before().cloned()).into_iter().collect()
            }
            Defect::DeletesTheWholeName if deletes => others(&|s| s.name() == name),
            Defect::DeletesWhatIsBelow if deletes => others(&|s| s.name().is_below(name)),
            _ => Vec::new(),
        };
        if !first.is_empty() {
            memory.apply(Batch::new(zone, &first)).await?;
        }
        Ok(())
    }

    /// Makes changes in addition to the requested ones.
    async fn after(&self, zone: &Zone, changes: &[Change]) -> Result<(), ApplyFailure> {
        if self.defect != Defect::NeighboursGetTheTtl {
            return Ok(());
        }
        let all = self.inner.server.all(zone).await;
        for new in changes.iter().filter_map(Change::after) {
            let beside = all.at(new.name()).filter_map(Observed::plain).filter(|s| s.key() != new.key());
            for old in beside.filter(|s| s.rtype() == RecordType::AAAA) {
                let new = old.clone().with_ttl(Ttl::new(60).unwrap());
                let change = [Change::Replace { old: old.clone(), new }];
                self.inner.server.memory(zone)?.apply(Batch::new(zone, &change)).await?;
            }
        }
        Ok(())
    }
}

fn one_preference(values: &mut [RecordData]) {
    let Some(RecordData::Mx { preference: first, .. }) = values.first().cloned() else { return };
    for value in values {
        if let RecordData::Mx { preference, .. } = value {
            *preference = first;
        }
    }
}

fn forced(there: Option<RecordSet>, wanted: Option<RecordSet>) -> Option<Change> {
    match (there, wanted) {
        (Some(old), Some(new)) => Some(Change::Replace { old, new }),
        (Some(old), None) => Some(Change::Delete(old)),
        (None, Some(new)) => Some(Change::Create(new)),
        (None, None) => None,
    }
}
