//! A custom DNS provider: zone files in a folder, as a name server reads them. Its test runs the conformance kit.
//! Run: `cargo run -p cloudron-examples --bin own_dns_provider FOLDER`
//!
//! Each zone is a file `example.com.zone`. A batch is written to a temporary file, which then replaces the zone file, so
//! that it is applied completely or not at all. Not implemented here: a new serial number in the SOA, and a signal to
//! the name server.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use cloudron_core::Progress;
use cloudron_dns::zone_file::{self, ReadOptions};
use cloudron_dns::{
    ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Error, Intent, Name, Observed,
    Ownership, PlanOptions, Receipt, RecordData, RecordKey, RecordSet, RecordType, Result, Scope, Snapshot,
    SyncStatus, Ttl, Zone, codes, ensure, find_zone,
};

/// Maximum length of a text, in bytes.
const LONGEST_TEXT: usize = 4000;

type Sets = BTreeMap<RecordKey, RecordSet>;

/// Zone files in a folder. Other programs must not write them at the same time.
pub struct ZoneFolder {
    folder: PathBuf,
    writing: Mutex<()>,
}

impl ZoneFolder {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), writing: Mutex::new(()) }
    }

    fn path(&self, zone: &Zone) -> PathBuf {
        self.folder.join(format!("{}.zone", zone.apex.without_dot()))
    }

    fn load(&self, zone: &Zone) -> Result<Sets> {
        let path = self.path(zone);
        let bytes = fs::read(&path).map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let unknown = Error::new(&codes::ZONE_NOT_FOUND, format!("there is no {}", path.display()));
            if missing { unknown.with_source(error) } else { Error::io(&path, error) }
        })?;
        let read = zone_file::read(&bytes, &ReadOptions::new(zone.apex.clone()))?;
        Ok(read.sets.into_iter().map(|set| (set.key().clone(), set)).collect())
    }

    fn save(&self, zone: &Zone, sets: &Sets) -> Result<()> {
        let path = self.path(zone);
        let new = path.with_extension("new");
        let sets: Vec<Observed> = sets.values().cloned().map(Observed::Plain).collect();
        fs::write(&new, zone_file::write(&zone.apex, &sets)).map_err(|e| Error::io(&new, e))?;
        fs::rename(&new, &path).map_err(|e| Error::io(&path, e))
    }
}

/// Applies a change if the set is still in the state that it was planned for and the result is valid.
fn change(zone: &Zone, sets: &mut Sets, change: &Change) -> Result<()> {
    let key = change.key();
    let top = key.name == zone.apex;
    let protected = key.rtype == RecordType::SOA
        || (top && matches!(key.rtype, RecordType::NS | RecordType::CNAME))
        || !key.name.is_in(&zone.apex)
        || key.variant.is_some();
    let too_long =
        |value: &RecordData| matches!(value, RecordData::Txt(text) if text.joined().len() > LONGEST_TEXT);
    if protected || change.after().is_some_and(|set| set.values().iter().any(too_long)) {
        return Err(Error::new(&codes::UNSUPPORTED, format!("{key} cannot be written in {}", zone.apex)));
    }
    if sets.get(key) != change.before() {
        return Err(Error::new(&codes::STALE, format!("{key} is not what it was")));
    }
    match change.after() {
        Some(new) => sets.insert(key.clone(), new.clone()),
        None => sets.remove(key),
    };
    Ok(())
}

/// Checks that no CNAME has other records at its name (RFC 1034, section 3.6.2).
fn check_cnames(sets: &Sets) -> Result<()> {
    let cnames = sets.keys().filter(|key| key.rtype == RecordType::CNAME);
    match cnames.into_iter().find(|cname| sets.keys().filter(|key| key.name == cname.name).count() > 1) {
        Some(key) => Err(Error::new(&codes::CONFLICT, format!("{key} stands beside other records"))),
        None => Ok(()),
    }
}

#[async_trait]
impl DnsProvider for ZoneFolder {
    fn id(&self) -> &str {
        "zone-folder"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Batch);
        (capabilities.preconditions, capabilities.max_txt) = (true, LONGEST_TEXT);
        capabilities
    }

    async fn list_zones(&self, _near: Option<&Name>) -> Result<Vec<Zone>> {
        let mut zones = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|e| Error::io(&self.folder, e))? {
            let file = entry.map_err(|e| Error::io(&self.folder, e))?.file_name();
            if let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".zone")) {
                zones.push(Zone::new(name, Name::parse(name)?));
            }
        }
        Ok(zones)
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        let sets = self.load(zone)?.into_values().filter(|set| scope.includes(set.name()));
        Ok(Snapshot::new(zone.clone(), sets.map(Observed::Plain), matches!(scope, Scope::Zone)))
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sets = self.load(batch.zone)?;
        for one in batch.changes {
            change(batch.zone, &mut sets, one)?;
        }
        check_cnames(&sets)?;
        self.save(batch.zone, &sets)?;
        Ok(Receipt::new(batch.changes.iter().map(|change| change.key().clone())))
    }

    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::NotReported)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let provider = ZoneFolder::new(folder);
    let name = Name::parse("my.example.com")?;
    let zone = find_zone(&provider, &name).await?;
    let wanted = [Intent::Exactly(RecordSet::parse(name, Ttl::DEFAULT, RecordType::A, ["192.0.2.1"])?)];
    // A real program stores this between runs.
    let mut ours = Ownership::none();
    let options = PlanOptions::default();
    let done = ensure(&provider, &zone, &wanted, &mut ours, &options, &Progress::none()).await?;
    print!("{}", done.plan);
    Ok(())
}
