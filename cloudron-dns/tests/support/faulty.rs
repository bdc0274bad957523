//! An in-memory provider that writes whole batches, or one set or one record per request, with requests that fail on
//! demand. It reports failures truthfully.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cloudron_dns::conformance::{Calls, Fault, Injection, Truth, Wire};
use cloudron_dns::memory::MemoryProvider;
use cloudron_dns::{
    Applied, ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Error, Name, Observed,
    Receipt, RecordData, RecordKey, RecordSet, RecordType, Result, Scope, Snapshot, SyncStatus, Zone, codes,
};

/// Maximum number of sets in one response.
const PAGE: usize = 100;

/// The common state of the providers of an account.
#[derive(Default)]
pub struct Server {
    zones: Mutex<BTreeMap<String, Arc<MemoryProvider>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    zones: Vec<Zone>,
    calls: Calls,
    injection: Option<Injection>,
    /// The outcomes of the next requests that write.
    script: VecDeque<Option<Fault>>,
}

impl Server {
    pub fn with_zone(zone: Zone, sets: impl IntoIterator<Item = Observed>) -> Arc<Self> {
        let server = Arc::new(Self::default());
        server.add(zone, sets);
        server
    }

    pub fn add(&self, zone: Zone, sets: impl IntoIterator<Item = Observed>) {
        let memory = MemoryProvider::new().with_zone(zone.clone(), sets);
        self.zones.lock().unwrap().insert(zone.id.clone(), Arc::new(memory));
        self.state().zones.push(zone);
    }

    pub fn script(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.state().script = faults.into_iter().collect();
    }

    pub async fn all(&self, zone: &Zone) -> Snapshot {
        self.memory(zone).unwrap().read(zone, Scope::Zone).await.unwrap()
    }

    pub fn memory(&self, zone: &Zone) -> Result<Arc<MemoryProvider>> {
        let unknown = || Error::new(&codes::ZONE_NOT_FOUND, format!("there is no zone {}", zone.id));
        self.zones.lock().unwrap().get(&zone.id).cloned().ok_or_else(unknown)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Counts a request, and returns its fault, if any.
    fn request(&self, writes: bool) -> Option<Fault> {
        let mut state = self.state();
        let calls = state.calls;
        let (reads, written) = (calls.reads + usize::from(!writes), calls.writes + usize::from(writes));
        state.calls = Calls::new(reads, written);
        if writes && let Some(fault) = state.script.pop_front() {
            return fault;
        }
        let injection = state.injection.as_mut().filter(|i| i.writes == writes)?;
        if injection.after > 0 {
            injection.after -= 1;
            return None;
        }
        injection.times = injection.times.checked_sub(1)?;
        Some(injection.fault)
    }

    pub fn read_request(&self) -> Result<()> {
        self.request(false).map_or(Ok(()), |fault| Err(error(fault)))
    }
}

fn error(fault: Fault) -> Error {
    match fault {
        Fault::Refused => Error::new(&codes::REFUSED, "422: it is refused"),
        Fault::Busy => Error::new(&codes::RATE_LIMITED, "429: too many requests"),
        _ => Error::new(&codes::PROVIDER_DOWN, "the connection broke"),
    }
}

impl Wire for Server {
    fn calls(&self) -> Calls {
        self.state().calls
    }

    fn inject(&self, injection: Injection) -> bool {
        self.state().injection = Some(injection);
        true
    }

    fn clear(&self) {
        self.state().injection = None;
    }
}

#[async_trait]
impl Truth for Server {
    async fn sets(&self, zone: &Zone) -> Result<Vec<Observed>> {
        Ok(self.all(zone).await.sets.into_values().collect())
    }

    async fn put_opaque(&self, zone: &Zone) -> Result<Option<RecordKey>> {
        let key = RecordKey::new(zone.apex.below("alias")?, RecordType::A);
        let what = "alias to x.example.net".to_owned();
        self.memory(zone)?.put(&zone.id, Observed::Opaque { key: key.clone(), what });
        Ok(Some(key))
    }
}

/// A provider for a server.
#[derive(Clone)]
pub struct Faulty {
    pub server: Arc<Server>,
    pub capabilities: Capabilities,
}

impl Faulty {
    /// Creates a provider that checks preconditions, and writes with that atomicity.
    pub fn new(server: &Arc<Server>, atomicity: Atomicity) -> Self {
        let mut capabilities = Capabilities::new(atomicity);
        (capabilities.preconditions, capabilities.sync_status) = (true, true);
        Self { server: server.clone(), capabilities }
    }

    /// Makes one request that changes the zone from one state to another. An error includes whether the request is
    /// known to have failed.
    async fn send(&self, zone: &Zone, changes: &[Change]) -> Result<(), (Error, bool)> {
        let memory = self.server.memory(zone).map_err(|e| (e, false))?;
        match self.server.request(true) {
            Some(fault @ Fault::CutAfter) => {
                let _ = memory.apply(Batch::new(zone, changes)).await;
                Err((error(fault), true))
            }
            Some(fault) => Err((error(fault), fault == Fault::CutBefore)),
            None => match memory.apply(Batch::new(zone, changes)).await {
                Ok(_) => Ok(()),
                Err(failure) => Err((failure.error, false)),
            },
        }
    }

    /// Makes a change record by record: in place, then new ones, then deletions.
    async fn by_record(&self, zone: &Zone, change: &Change) -> Result<(), (Error, bool)> {
        let values = |set: Option<&RecordSet>| set.map_or(Vec::new(), |s| s.values().to_vec());
        let (old, new) = (values(change.before()), values(change.after()));
        let mut now = change.before().cloned();
        let ttl = change.after().or(change.before()).map(RecordSet::ttl).unwrap_or_default();
        let mut gone: Vec<&RecordData> = old.iter().filter(|v| !new.contains(v)).collect();
        let mut steps: Vec<(Option<&RecordData>, Option<&RecordData>)> = Vec::new();
        for value in new.iter().filter(|v| !old.contains(v)) {
            steps.push((gone.pop(), Some(value)));
        }
        steps.extend(gone.into_iter().map(|value| (Some(value), None)));
        if steps.is_empty() {
            steps.push((None, None));
        }
        for (number, (out, into)) in steps.into_iter().enumerate() {
            let kept = now.iter().flat_map(|s| s.values()).filter(|v| Some(*v) != out);
            let wanted: Vec<RecordData> = kept.chain(into).cloned().collect();
            let next = match wanted.is_empty() {
                true => None,
                false => Some(RecordSet::new(change.key().name.clone(), ttl, wanted).unwrap()),
            };
            let step = match (now, next.clone()) {
                (None, Some(new)) => Change::Create(new),
                (Some(old), Some(new)) => Change::Replace { old, new },
                (Some(old), None) => Change::Delete(old),
                (None, None) => return Ok(()),
            };
            // A set that is half written is in neither state.
            self.send(zone, &[step]).await.map_err(|(e, unknown)| (e, unknown || number > 0))?;
            now = next;
        }
        Ok(())
    }
}

#[async_trait]
impl DnsProvider for Faulty {
    fn id(&self) -> &str {
        "faulty"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn list_zones(&self, _near: Option<&Name>) -> Result<Vec<Zone>> {
        self.server.read_request()?;
        Ok(self.server.state().zones.clone())
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        self.server.read_request()?;
        let read = self.server.memory(zone)?.read(zone, scope).await?;
        for _ in 1..read.sets.len().div_ceil(PAGE) {
            self.server.read_request()?;
        }
        Ok(read)
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let keys = |changes: &[Change]| changes.iter().map(|c| c.key().clone()).collect::<Vec<_>>();
        if batch.changes.len() > self.capabilities.max_batch {
            return Err(Error::new(&codes::UNSUPPORTED, "the batch is too large").into());
        }
        if let Some(change) = batch.changes.iter().find(|c| !can_hold(&self.capabilities, c)) {
            return Err(Error::new(&codes::UNSUPPORTED, format!("{} cannot be held", change.key())).into());
        }
        let one_by_one = self.capabilities.atomicity != Atomicity::Batch;
        let size = if one_by_one { 1 } else { batch.changes.len().max(1) };
        for (number, changes) in batch.changes.chunks(size).enumerate() {
            let done = match self.capabilities.atomicity {
                Atomicity::Record => self.by_record(batch.zone, &changes[0]).await,
                _ => self.send(batch.zone, changes).await,
            };
            let Err((error, unknown)) = done else { continue };
            let applied = match (unknown, number) {
                (true, _) => Applied::Unknown,
                (false, 0) => Applied::Nothing,
                (false, _) => Applied::Some(keys(&batch.changes[..number])),
            };
            return Err(ApplyFailure { error, applied });
        }
        Ok(Receipt::new(keys(batch.changes)).with_id("1"))
    }

    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::InSync)
    }
}

fn can_hold(capabilities: &Capabilities, change: &Change) -> bool {
    let Some(set) = change.after() else { return true };
    let fits = |value: &RecordData| match value {
        RecordData::Txt(text) => text.joined().len() <= capabilities.max_txt,
        _ => true,
    };
    capabilities.types.as_ref().is_none_or(|types| types.contains(&set.rtype()))
        && set.values().iter().all(fits)
}
