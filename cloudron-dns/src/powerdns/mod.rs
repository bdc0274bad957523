//! PowerDNS through its HTTP interface: <https://doc.powerdns.com/authoritative/http-api/index.html>.
//!
//! A batch is one atomic request. The interface has no preconditions: the changes are checked against a read just
//! before the write, which leaves a small window. If this matters, use `rfc2136`, which also supports PowerDNS.

mod client;
mod convert;
mod types;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::Secret;
use cloudron_http::{HttpTransport, ReqwestTransport};

use self::client::{Client, VENDOR};
use crate::apply::unsupported;
use crate::rest;
use crate::{
    ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Error, Name, Observed, Receipt,
    RecordData, RecordKey, RecordType, Result, Scope, Snapshot, SyncStatus, Visibility, Zone, codes,
};

/// Time for which the data read by `list_zones` may be reused by `read`.
const FRESH: Duration = Duration::from_secs(5);

/// Maximum length of a text, in bytes.
const LONGEST_TEXT: usize = 4_000;

/// The zones of a PowerDNS server.
///
/// ```no_run
/// # async fn f(api_key: cloudron_core::Secret) -> cloudron_dns::Result<()> {
/// use cloudron_dns::powerdns::PowerDns;
/// use cloudron_dns::{Name, find_zone};
///
/// let provider = PowerDns::new("http://127.0.0.1:8081", api_key)?;
/// let zone = find_zone(&provider, &Name::parse("my.example.com")?).await?;
/// # Ok(())
/// # }
/// ```
pub struct PowerDns {
    client: Client,
    /// The zone read during the search for a zone, for the following read, and the time of that search.
    found: Mutex<Option<(Duration, types::Zone)>>,
}

/// The zone that changes are based on.
struct State {
    zone: String,
    secondary: bool,
    sets: BTreeMap<RecordKey, Observed>,
}

impl PowerDns {
    /// The server whose interface is at an address, such as `http://127.0.0.1:8081` or `https://ns1.example.com`, over
    /// an HTTP client of its own; the key is its `api-key`.
    ///
    /// # Errors
    /// `usage` for what is no address, and for `http` to another machine, which would send the key in the clear; and
    /// as [`ReqwestTransport::from_env`].
    pub fn new(endpoint: &str, api_key: Secret) -> Result<Self> {
        Self::with_transport(endpoint, api_key, Arc::new(ReqwestTransport::from_env()?))
    }

    /// Creates a provider like [`new`](Self::new), but over any HTTP client.
    ///
    /// # Errors
    /// `usage` as for [`new`](Self::new).
    pub fn with_transport(
        endpoint: &str,
        api_key: Secret,
        transport: Arc<dyn HttpTransport>,
    ) -> Result<Self> {
        let mut rest = rest::requests(&VENDOR, api_key, transport);
        rest.set_endpoint(endpoint)?;
        Ok(Self { client: Client { rest, server: "localhost".into() }, found: Mutex::default() })
    }

    /// Selects another server behind the interface; usually `localhost` is the only one.
    pub fn with_server(mut self, id: impl Into<String>) -> Self {
        self.client.server = id.into();
        self
    }

    fn found(&self) -> MutexGuard<'_, Option<(Duration, types::Zone)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn state(&self, zone: &Zone) -> Result<Arc<State>> {
        let now = self.client.rest.clock.monotonic();
        let found = self.found().take();
        let found = found.filter(|(at, found)| found.id == zone.id && now.saturating_sub(*at) < FRESH);
        let found = match found {
            Some((_, found)) => found,
            None => self.client.zone(&zone.id).await?.ok_or_else(|| {
                Error::new(&codes::ZONE_NOT_FOUND, format!("PowerDNS has no zone with the id {}", zone.id))
            })?,
        };
        let secondary = ["Slave", "Secondary", "Consumer"].contains(&found.kind.as_str());
        Ok(Arc::new(State { zone: zone.id.clone(), secondary, sets: convert::sets(&found.rrsets)? }))
    }
}

crate::rest::choices!(PowerDns);

#[async_trait]
impl DnsProvider for PowerDns {
    fn id(&self) -> &str {
        "powerdns"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Batch);
        capabilities.max_txt = LONGEST_TEXT;
        capabilities
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        let (key, apex) = (change.key(), &zone.apex);
        let top = key.name == *apex && matches!(key.rtype, RecordType::NS | RecordType::CNAME);
        if top || convert::kept_by_server(key.rtype) || key.variant.is_some() || !key.name.is_in(apex) {
            return Some(format!("it cannot be written in {apex}"));
        }
        if !convert::takes_name(&key.name) {
            return Some("the name has characters that it does not take".into());
        }
        let long =
            |value: &RecordData| matches!(value, RecordData::Txt(text) if text.joined().len() > LONGEST_TEXT);
        let long = change.after().is_some_and(|set| set.values().iter().any(long));
        long.then(|| format!("a text has more than {LONGEST_TEXT} bytes"))
    }

    /// Returns the zones of the server. For a registered domain, only that zone is requested, and the response is
    /// reused by a read within 5 seconds: one request instead of two.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        let zone = |zone: &types::Zone| -> Result<Zone> {
            Ok(Zone::new(&zone.id, Name::parse(&zone.name)?).with_visibility(Visibility::Unknown))
        };
        let registered = near.filter(|name| name.is_registered());
        if let Some(domain) = registered
            && let Some(found) = self.client.zone(&domain.to_string()).await?
        {
            let zones = vec![zone(&found)?];
            *self.found() = Some((self.client.rest.clock.monotonic(), found));
            return Ok(zones);
        }
        self.client.list().await?.iter().map(zone).collect()
    }

    /// Returns all record sets of the zone, regardless of the scope: this needs one request.
    async fn read(&self, zone: &Zone, _scope: Scope<'_>) -> Result<Snapshot> {
        let state = self.state(zone).await?;
        Ok(Snapshot::new(zone.clone(), state.sets.values().cloned(), true).with_handle(state))
    }

    /// Sends nothing unless every change fits the state that was read.
    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let state = match rest::state::<State>(&batch, |state| &state.zone) {
            Some(state) => state,
            None => self.state(batch.zone).await?,
        };
        *self.found() = None;
        if state.secondary {
            let message = format!("{} is a secondary zone at this server", batch.zone.apex);
            let hint = "change it at its primary server";
            return Err(Error::new(&codes::UPDATE_REFUSED, message).with_hint(hint).into());
        }
        for change in batch.changes {
            if let Some(why) = self.refusal(batch.zone, change) {
                return Err(unsupported(self.id(), change.key(), &why).into());
            }
            change.fits(state.sets.get(change.key()))?;
        }
        let patch = types::Patch { rrsets: convert::changes(batch.changes) };
        self.client.patch(&batch.zone.id, &patch).await?;
        Ok(Receipt::new(batch.changes.iter().map(|change| change.key().clone())))
    }

    /// PowerDNS does not report the state of other servers.
    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::NotReported)
    }
}
