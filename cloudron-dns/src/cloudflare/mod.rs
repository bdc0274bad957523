//! Cloudflare's DNS: <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.
//!
//! Changes are written in one atomic request: deletions, then changes in place, then additions. The interface takes
//! record IDs and has no other precondition: a record that no longer exists fails the whole batch, but one that another
//! program changed a moment ago is not detected. Name servers around the world get the records of a batch one by one.
//!
//! - Records that Cloudflare proxies or manages itself, and a CNAME at the apex, which it flattens, are opaque: listed
//!   and never overwritten.
//! - A TTL that Cloudflare chooses ("automatic") is read as its actual 300 seconds, and stays automatic while a plan
//!   wants 300.
//! - A batch holds 200 records, which every Cloudflare plan allows. Changes that need more are written in several
//!   batches, one after the other; see [`Cloudflare::with_batch_size`].

mod client;
mod convert;
mod steps;
mod types;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{ResultExt, Secret};
use cloudron_http::{HttpTransport, ReqwestTransport};

use self::client::{Client, VENDOR};
use self::convert::Records;
use self::steps::{Steps, steps};
use self::types::{BatchBody, ListedZone};
use crate::rest::{self, Failure};
use crate::{
    ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Error, Name, Observed, Receipt,
    RecordData, RecordSet, Result, Scope, Snapshot, SyncStatus, Ttl, Visibility, Zone, codes,
};

/// The zones that a Cloudflare API token can access. It needs the permissions Zone: Read and DNS: Edit.
///
/// ```no_run
/// # async fn f(token: cloudron_core::Secret) -> cloudron_dns::Result<()> {
/// use cloudron_dns::cloudflare::Cloudflare;
/// use cloudron_dns::{Name, find_zone};
///
/// let provider = Cloudflare::new(token)?;
/// let zone = find_zone(&provider, &Name::parse("my.example.com")?).await?;
/// # Ok(())
/// # }
/// ```
pub struct Cloudflare {
    client: Client,
    /// Maximum number of records in a batch.
    batch: usize,
}

/// The state of a zone that changes are based on.
struct State {
    zone: String,
    sets: Vec<Observed>,
    records: Records,
}

impl Cloudflare {
    /// The account that an API token is for, over an HTTP client of its own.
    ///
    /// # Errors
    /// As [`ReqwestTransport::from_env`].
    pub fn new(token: Secret) -> Result<Self> {
        Ok(Self::with_transport(token, Arc::new(ReqwestTransport::from_env()?)))
    }

    /// The account that an API token is for, over any HTTP client.
    pub fn with_transport(token: Secret, transport: Arc<dyn HttpTransport>) -> Self {
        Self { client: Client { rest: rest::requests(&VENDOR, token, transport) }, batch: 200 }
    }

    /// Sets another endpoint than Cloudflare's, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// `usage` if it is not a URL, and for `http` to another machine, which would send the token in clear text.
    pub fn at(mut self, endpoint: &str) -> Result<Self> {
        self.client.rest.set_endpoint(endpoint)?;
        Ok(self)
    }

    /// Sets the maximum number of records in a batch: 3500 for zones with the plans Pro, Business and Enterprise
    /// (<https://developers.cloudflare.com/dns/manage-dns-records/how-to/batch-record-changes/>).
    pub fn with_batch_size(self, records: usize) -> Self {
        Self { batch: records.max(1), ..self }
    }

    async fn state(&self, zone: &Zone) -> Result<Arc<State>, Failure> {
        let listed = self.client.records(&zone.id).await?;
        let (sets, records) = convert::sets(&zone.apex, &listed)?;
        Ok(Arc::new(State { zone: zone.id.clone(), sets, records }))
    }

    /// Writes one batch. After a lost response, the zone is read before anything is sent again.
    async fn write(&self, zone: &Zone, body: &BatchBody, changes: &[Change]) -> Result<(), Failure> {
        let mut tries = self.client.rest.tries();
        loop {
            let Err(failure) = self.client.batch(&zone.id, body).await else { return Ok(()) };
            let go_on = tries.again(&failure).await;
            if failure.unknown {
                let Ok(state) = self.state(zone).await else { return Err(failure) };
                let holds = |change: &Change, wanted: fn(&Change) -> Option<&crate::RecordSet>| {
                    let there = state.sets.iter().find(|set| set.key() == change.key());
                    there.and_then(Observed::plain) == wanted(change)
                };
                if changes.iter().all(|change| holds(change, Change::after)) {
                    return Ok(());
                }
                if !changes.iter().all(|change| holds(change, Change::before)) {
                    return Err(failure);
                }
            }
            if !go_on {
                return Err(Failure { unknown: false, ..failure });
            }
        }
    }

    /// Groups changes into batches.
    fn batches<'a>(&self, changes: &'a [Change], planned: Vec<Steps>) -> Vec<(&'a [Change], BatchBody)> {
        let (mut batches, mut start) = (Vec::new(), 0);
        let (mut body, mut count) = (BatchBody::default(), 0);
        for (at, steps) in planned.into_iter().enumerate() {
            if count > 0 && count + steps.count() > self.batch {
                batches.push((&changes[start..at], std::mem::take(&mut body)));
                (start, count) = (at, 0);
            }
            count += steps.count();
            steps.join(&mut body);
        }
        batches.push((&changes[start..], body));
        batches
    }
}

fn zone(listed: ListedZone) -> Result<Zone> {
    let apex = Name::parse(&listed.name).doing(|| format!("reading the zone {}", listed.id))?;
    let servers = listed.name_servers.unwrap_or_default();
    let servers = servers.iter().filter_map(|server| Name::parse(server).ok());
    let internal = listed.kind.as_deref() == Some("internal");
    let visibility = if internal { Visibility::Private } else { Visibility::Public };
    Ok(Zone::new(listed.id, apex).with_name_servers(servers).with_visibility(visibility))
}

crate::rest::choices!(Cloudflare);

#[async_trait]
impl DnsProvider for Cloudflare {
    fn id(&self) -> &str {
        "cloudflare"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Batch);
        capabilities.types = Some(convert::TYPES.to_vec());
        capabilities.min_ttl = Ttl::new(60).unwrap_or_default();
        capabilities.max_txt = 2025;
        capabilities.max_batch = self.batch;
        capabilities
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        let values = |set: Option<&RecordSet>| -> BTreeSet<RecordData> {
            set.into_iter().flat_map(RecordSet::values).cloned().collect()
        };
        let (old, new) = (values(change.before()), values(change.after()));
        // Unchanged records are written only because of their TTL.
        let slow = change.before().map(RecordSet::ttl) != change.after().map(RecordSet::ttl);
        let kept = if slow { old.intersection(&new).count() } else { 0 };
        let count = kept + old.difference(&new).count().max(new.difference(&old).count());
        let most = self.batch;
        let many = (count > most).then(|| format!("its change takes more than {most} records"));
        steps::refusal(&zone.apex, change).or(many)
    }

    /// Returns the zones that the token can access. For a registered domain, only that zone is requested.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        let registered = near.filter(|name| name.is_registered());
        if let Some(domain) = registered {
            let found = self.client.zones(Some(domain.without_dot())).await?;
            if !found.is_empty() {
                return found.into_iter().map(zone).collect();
            }
        }
        self.client.zones(None).await?.into_iter().map(zone).collect()
    }

    /// Returns all record sets of the zone, regardless of the scope: this needs the fewest requests.
    async fn read(&self, zone: &Zone, _scope: Scope<'_>) -> Result<Snapshot> {
        let state = self.state(zone).await.map_err(|failure| failure.error)?;
        Ok(Snapshot::new(zone.clone(), state.sets.iter().cloned(), true).with_handle(state))
    }

    /// Sends nothing unless every change fits the state that was read and is supported. Changes of more than
    /// [`Cloudflare::with_batch_size`] records are several batches; if a later one fails, the earlier ones remain
    /// applied.
    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let state = match rest::state::<State>(&batch, |state| &state.zone) {
            Some(state) => state,
            None => self.state(batch.zone).await.map_err(|failure| failure.error)?,
        };
        let plan = |change| steps(&batch.zone.apex, &state.sets, &state.records, change);
        let planned: Vec<Steps> = batch.changes.iter().map(plan).collect::<Result<_>>()?;
        if let Some(at) = planned.iter().position(|steps| steps.count() > self.batch) {
            let (key, most) = (batch.changes[at].key(), self.batch);
            let message = format!("{key} at Cloudflare: its change takes more than {most} records");
            return Err(Error::new(&codes::UNSUPPORTED, message).into());
        }
        let mut applied = Vec::new();
        for (changes, body) in self.batches(batch.changes, planned) {
            // Nothing to do, such as for a set of equal records.
            if body != BatchBody::default()
                && let Err(failure) = self.write(batch.zone, &body, changes).await
            {
                return Err(ApplyFailure::from(failure).after(applied));
            }
            applied.extend(changes.iter().map(|change| change.key().clone()));
        }
        Ok(Receipt::new(applied))
    }

    /// Cloudflare does not report this.
    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::NotReported)
    }
}
