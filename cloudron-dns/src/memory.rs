//! An in-memory provider, as strict as a real one: for tests, and for trying out plans.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use crate::apply::unsupported;
use crate::{
    ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Error, Name, Observed, Receipt,
    RecordData, RecordKey, RecordSet, RecordType, Result, Scope, Snapshot, SyncStatus, Zone, codes,
};

type Sets = BTreeMap<RecordKey, Observed>;

/// A provider that keeps its zones in memory. Batches are atomic and preconditions are checked.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use cloudron_dns::memory::MemoryProvider;
/// use cloudron_dns::{Name, Zone, find_zone};
///
/// let provider = MemoryProvider::new().with_zone(Zone::new("1", Name::parse("example.com")?), []);
/// assert_eq!(find_zone(&provider, &Name::parse("my.example.com")?).await?.id, "1");
/// # Ok::<(), cloudron_dns::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryProvider {
    zones: Mutex<Vec<(Zone, Sets)>>,
    capabilities: Capabilities,
    batches: AtomicU64,
}

impl Default for MemoryProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryProvider {
    /// Creates a provider without zones.
    pub fn new() -> Self {
        let mut capabilities = Capabilities::new(Atomicity::Batch);
        (capabilities.preconditions, capabilities.sync_status) = (true, true);
        Self { zones: Mutex::default(), capabilities, batches: AtomicU64::new(0) }
    }

    /// Adds a zone.
    pub fn with_zone(self, zone: Zone, sets: impl IntoIterator<Item = Observed>) -> Self {
        let sets = sets.into_iter().map(|s| (s.key().clone(), s)).collect();
        self.lock().push((zone, sets));
        self
    }

    /// Sets other capabilities. The provider remains atomic and checks preconditions in any case.
    pub fn with_capabilities(self, capabilities: Capabilities) -> Self {
        Self { capabilities, ..self }
    }

    /// Adds a set to a zone, as another writer would. An unknown zone is ignored.
    pub fn put(&self, zone_id: &str, set: Observed) {
        if let Some((_, sets)) = self.lock().iter_mut().find(|(zone, _)| zone.id == zone_id) {
            sets.insert(set.key().clone(), set);
        }
    }

    /// Returns the number of written batches.
    pub fn batches_written(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    fn can_hold(&self, set: &RecordSet) -> bool {
        let fits = |value: &RecordData| match value {
            RecordData::Txt(text) => text.joined().len() <= self.capabilities.max_txt,
            _ => true,
        };
        let types = self.capabilities.types.as_ref();
        types.is_none_or(|types| types.contains(&set.rtype()))
            && set.ttl() >= self.capabilities.min_ttl
            && set.values().iter().all(fits)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Zone, Sets)>> {
        self.zones.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl DnsProvider for MemoryProvider {
    fn id(&self) -> &str {
        "memory"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        let key = change.key();
        let top = key.name == zone.apex && matches!(key.rtype, RecordType::NS | RecordType::CNAME);
        if top || key.rtype == RecordType::SOA || !key.name.is_in(&zone.apex) {
            return Some(format!("it cannot be written in {}", zone.apex));
        }
        let held = change.after().is_none_or(|set| self.can_hold(set));
        (!held).then(|| "such a record cannot be held".to_owned())
    }

    async fn list_zones(&self, _near: Option<&Name>) -> Result<Vec<Zone>> {
        Ok(self.lock().iter().map(|(zone, _)| zone.clone()).collect())
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        let zones = self.lock();
        let (zone, sets) = zones.iter().find(|(z, _)| z.id == zone.id).ok_or_else(|| no_zone(zone))?;
        let read = sets.values().filter(|s| scope.includes(&s.key().name)).cloned();
        Ok(Snapshot::new(zone.clone(), read, matches!(scope, Scope::Zone)))
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        if batch.changes.len() > self.capabilities.max_batch {
            let message = format!("a batch of {} changes is too large", batch.changes.len());
            return Err(Error::new(&codes::UNSUPPORTED, message).into());
        }
        for change in batch.changes {
            if let Some(why) = self.refusal(batch.zone, change) {
                return Err(unsupported(self.id(), change.key(), &why).into());
            }
        }
        let mut zones = self.lock();
        let (_, sets) =
            zones.iter_mut().find(|(z, _)| z.id == batch.zone.id).ok_or_else(|| no_zone(batch.zone))?;
        let mut after = sets.clone();
        for change in batch.changes {
            write(&mut after, change)?;
        }
        alone(&after, batch.changes)?;
        *sets = after;
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        let applied = batch.changes.iter().map(|c| c.key().clone());
        Ok(Receipt::new(applied).with_id(number.to_string()))
    }

    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::InSync)
    }
}

fn no_zone(zone: &Zone) -> Error {
    Error::new(&codes::ZONE_NOT_FOUND, format!("there is no zone with the id {}", zone.id))
}

fn write(sets: &mut Sets, change: &Change) -> Result<()> {
    let key = change.key();
    change.fits(sets.get(key))?;
    match change.after() {
        Some(new) => sets.insert(key.clone(), Observed::Plain(new.clone())),
        None => sets.remove(key),
    };
    Ok(())
}

/// Checks that no written name has a CNAME and other sets.
fn alone(sets: &Sets, changes: &[Change]) -> Result<()> {
    for name in changes.iter().filter_map(Change::after).map(RecordSet::name) {
        let types: Vec<_> = sets.keys().filter(|key| key.name == *name).map(|key| key.rtype).collect();
        if types.len() > 1 && types.contains(&RecordType::CNAME) {
            let message = format!("{name}: a CNAME cannot stand beside other records");
            return Err(Error::new(&codes::CONFLICT, message));
        }
    }
    Ok(())
}
