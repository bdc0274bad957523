//! DigitalOcean's DNS: <https://docs.digitalocean.com/reference/api/digitalocean/#tag/Domains>.
//!
//! The interface takes one record at a time and has no preconditions: a plan that fails midway is half applied, and the
//! next run finishes it. Records are changed in place if possible, and added before others are deleted. A record is
//! never created again before the zone was searched for it.

mod client;
mod convert;
mod steps;
mod types;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::Secret;
use cloudron_http::{HttpTransport, ReqwestTransport};

use self::client::{Client, VENDOR};
use self::convert::Records;
use self::steps::{Step, steps};
use self::types::Listed;
use crate::rest::{self, Failure};
use crate::{
    ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Error, Name, Observed, Receipt,
    Result, Scope, Snapshot, SyncStatus, Ttl, Zone, codes,
};

/// Time for which the data read by `list_zones` may be reused by `read`.
const FRESH: Duration = Duration::from_secs(5);

/// The zones of a DigitalOcean account.
///
/// ```no_run
/// # async fn f(token: cloudron_core::Secret) -> cloudron_dns::Result<()> {
/// use cloudron_dns::digitalocean::DigitalOcean;
/// use cloudron_dns::{Name, find_zone};
///
/// let provider = DigitalOcean::new(token)?;
/// let zone = find_zone(&provider, &Name::parse("my.example.com")?).await?;
/// # Ok(())
/// # }
/// ```
pub struct DigitalOcean {
    client: Client,
    /// Data read during the search for a zone, for the following read.
    found: Mutex<Option<Found>>,
}

struct Found {
    zone: String,
    at: Duration,
    records: Vec<Listed>,
}

/// The state of a zone that changes are based on.
struct State {
    zone: String,
    sets: Vec<Observed>,
    records: Records,
    ids: BTreeSet<u64>,
}

impl DigitalOcean {
    /// The account that a token is for, over an HTTP client of its own.
    ///
    /// # Errors
    /// As [`ReqwestTransport::from_env`].
    pub fn new(token: Secret) -> Result<Self> {
        Ok(Self::with_transport(token, Arc::new(ReqwestTransport::from_env()?)))
    }

    /// The account that a token is for, over any HTTP client.
    pub fn with_transport(token: Secret, transport: Arc<dyn HttpTransport>) -> Self {
        let client = Client { rest: rest::requests(&VENDOR, token, transport) };
        Self { client, found: Mutex::default() }
    }

    /// Sets another endpoint than DigitalOcean's, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// `usage` if it is not a URL, and for `http` to another machine, which would send the token in clear text.
    pub fn at(mut self, endpoint: &str) -> Result<Self> {
        self.client.rest.set_endpoint(endpoint)?;
        Ok(self)
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the zone of a registered domain, by reading it. No other zone can enclose that name.
    async fn zone_named(&self, domain: &Name) -> Result<Option<Zone>> {
        let zone = domain.without_dot();
        let Some(records) = self.client.records(zone).await? else { return Ok(None) };
        let at = self.client.rest.clock.monotonic();
        *self.found() = Some(Found { zone: zone.to_owned(), at, records });
        Ok(Some(Zone::new(zone, domain.clone())))
    }

    async fn state(&self, zone: &Zone) -> Result<Arc<State>> {
        let found = self.found().take().filter(|found| {
            let age = self.client.rest.clock.monotonic().saturating_sub(found.at);
            found.zone == zone.id && age < FRESH
        });
        let listed = match found {
            Some(found) => found.records,
            None => self.client.records(&zone.id).await?.ok_or_else(|| {
                let message = format!("DigitalOcean has no domain {} in this account", zone.id);
                Error::new(&codes::ZONE_NOT_FOUND, message)
            })?,
        };
        let (sets, records) = convert::sets(&zone.apex, &listed)?;
        let ids = listed.iter().map(|record| record.id).collect();
        Ok(Arc::new(State { zone: zone.id.clone(), sets, records, ids }))
    }

    async fn make(&self, zone: &Zone, step: &Step, ids: &mut BTreeSet<u64>) -> Result<(), Failure> {
        match step {
            Step::Update(id, fields) => match self.client.update(&zone.id, *id, fields).await {
                Err(failure) if failure.status == Some(http::StatusCode::NOT_FOUND) => {
                    let message = format!("{} {}: the record is gone", fields.name, fields.rtype);
                    Err(Error::new(&codes::STALE, message).with_source(failure.error).into())
                }
                done => done,
            },
            Step::Create(fields) => {
                let wanted = |listed: &Listed| convert::same(&zone.apex, listed, fields);
                ids.insert(self.client.create(&zone.id, fields, ids, wanted).await?);
                Ok(())
            }
            Step::Delete(id) => self.client.delete(&zone.id, *id).await,
        }
    }
}

crate::rest::choices!(DigitalOcean);

#[async_trait]
impl DnsProvider for DigitalOcean {
    fn id(&self) -> &str {
        "digitalocean"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Record);
        capabilities.types = Some(convert::TYPES.to_vec());
        capabilities.min_ttl = Ttl::new(30).unwrap_or_default();
        capabilities.max_txt = 504;
        capabilities
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        steps::refusal(&zone.apex, change)
    }

    /// Returns the zones of the account. For a registered domain, only that zone is requested, and the response is
    /// reused by a read within 5 seconds: one request instead of two.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        let registered = near.filter(|name| name.is_registered());
        if let Some(domain) = registered
            && let Some(zone) = self.zone_named(domain).await?
        {
            return Ok(vec![zone]);
        }
        let domains = self.client.domains().await?;
        domains.iter().map(|domain| Ok(Zone::new(domain.clone(), Name::parse(domain)?))).collect()
    }

    /// Returns all record sets of the zone, regardless of the scope: this needs the fewest requests.
    async fn read(&self, zone: &Zone, _scope: Scope<'_>) -> Result<Snapshot> {
        let state = self.state(zone).await?;
        Ok(Snapshot::new(zone.clone(), state.sets.iter().cloned(), true).with_handle(state))
    }

    /// Sends nothing unless every change fits the state that was read and is supported.
    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let state = match rest::state::<State>(&batch, |state| &state.zone) {
            Some(state) => state,
            None => self.state(batch.zone).await?,
        };
        *self.found() = None;
        let plan = |change| steps(&batch.zone.apex, &state.sets, &state.records, change);
        let planned: Vec<Vec<Step>> = batch.changes.iter().map(plan).collect::<Result<_>>()?;
        let (mut ids, mut applied) = (state.ids.clone(), Vec::new());
        for (change, steps) in batch.changes.iter().zip(&planned) {
            for (number, step) in steps.iter().enumerate() {
                if let Err(mut failure) = self.make(batch.zone, step, &mut ids).await {
                    failure.error = failure.error.while_doing(change.key().to_string());
                    // A set may be half written.
                    failure.unknown |= number > 0;
                    return Err(ApplyFailure::from(failure).after(applied));
                }
            }
            applied.push(change.key().clone());
        }
        Ok(Receipt::new(applied))
    }

    /// DigitalOcean does not report this.
    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::NotReported)
    }
}
