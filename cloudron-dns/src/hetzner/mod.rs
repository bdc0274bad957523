//! The DNS of Hetzner's cloud: <https://docs.hetzner.cloud/reference/cloud#zones>. The former interface at
//! dns.hetzner.com was a different one and no longer exists.
//!
//! The interface takes one set at a time and has no preconditions: a plan that fails midway is half applied, and the
//! next run finishes it. Each set is written as a whole. Only a set whose values and TTL change together takes two
//! requests, the values first. Changes continue after their response; several are awaited together.
//!
//! Labels of sets and comments of unchanged values are kept. A protected set is not changed; the plan is then refused
//! before anything is sent.

mod actions;
mod client;
mod convert;
mod steps;
mod types;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cloudron_core::{ResultExt, Secret};
use cloudron_http::{HttpTransport, ReqwestTransport};

use self::actions::{Progress, wait};
use self::client::{Client, VENDOR};
use self::convert::Extras;
use self::steps::{Step, steps};
use self::types::{Listed, ListedZone};
use crate::rest::{self, Failure};
use crate::{
    Applied, ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Name, Observed, Receipt,
    Result, Scope, Snapshot, SyncStatus, Ttl, Zone,
};

/// The zones of a project in Hetzner's cloud.
///
/// ```no_run
/// # async fn f(token: cloudron_core::Secret) -> cloudron_dns::Result<()> {
/// use cloudron_dns::hetzner::Hetzner;
/// use cloudron_dns::{Name, find_zone};
///
/// let provider = Hetzner::new(token)?;
/// let zone = find_zone(&provider, &Name::parse("my.example.com")?).await?;
/// # Ok(())
/// # }
/// ```
pub struct Hetzner {
    client: Client,
    /// The TTLs of listed zones, for the following read.
    ttls: Mutex<BTreeMap<String, u32>>,
}

/// The state of a zone that changes are based on.
struct State {
    zone: String,
    ttl: u32,
    sets: Vec<Observed>,
    extras: Extras,
}

impl Hetzner {
    /// The project that a token is for, over an HTTP client of its own.
    ///
    /// # Errors
    /// As [`ReqwestTransport::from_env`].
    pub fn new(token: Secret) -> Result<Self> {
        Ok(Self::with_transport(token, Arc::new(ReqwestTransport::from_env()?)))
    }

    /// The project that a token is for, over any HTTP client.
    pub fn with_transport(token: Secret, transport: Arc<dyn HttpTransport>) -> Self {
        Self { client: Client { rest: rest::requests(&VENDOR, token, transport) }, ttls: Mutex::default() }
    }

    /// Sets another endpoint than Hetzner's, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// `usage` if it is not a URL, and for `http` to another machine, which would send the token in clear text.
    pub fn at(mut self, endpoint: &str) -> Result<Self> {
        self.client.rest.set_endpoint(endpoint)?;
        Ok(self)
    }

    fn ttls(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.ttls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn zone(&self, listed: ListedZone) -> Result<Zone> {
        let id = listed.id.to_string();
        let apex = Name::parse(&listed.name).doing(|| format!("reading the zone {id}"))?;
        let servers = listed.authoritative_nameservers.assigned;
        let servers: Vec<Name> = servers.iter().filter_map(|server| Name::parse(server).ok()).collect();
        self.ttls().insert(id.clone(), listed.ttl);
        Ok(Zone::new(id, apex).with_name_servers(servers))
    }

    async fn state(&self, zone: &Zone) -> Result<Arc<State>> {
        let listed = self.client.sets(&zone.id).await?;
        let known = self.ttls().remove(&zone.id);
        let ttl = match known {
            Some(ttl) => ttl,
            None if convert::needs_zone_ttl(&listed) => self.client.zone(&zone.id).await?.ttl,
            None => Ttl::DEFAULT.seconds(),
        };
        let (sets, extras) = convert::sets(&zone.apex, ttl, &listed)?;
        Ok(Arc::new(State { zone: zone.id.clone(), ttl, sets, extras }))
    }

    /// Starts the steps of one change, each after the previous one has ended.
    async fn make(
        &self,
        zone: &Zone,
        ttl: u32,
        change: &Change,
        steps: &[Step],
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let done = |there: &Listed| {
            let there = convert::one(&zone.apex, ttl, there);
            there.is_ok_and(|there| there.plain() == change.after())
        };
        let mut last = None;
        for (number, step) in steps.iter().enumerate() {
            let started = async {
                if let Some(action) = last.take() {
                    let action: types::Action = action;
                    wait(&self.client, &[action.id]).await?;
                }
                self.client.start(&zone.id, step, done).await
            };
            // After the first step the set is half written.
            last = started.await.map_err(|f| Failure { unknown: f.unknown || number > 0, ..f })?;
        }
        progress.started(change.key(), last.as_ref());
        Ok(())
    }
}

crate::rest::choices!(Hetzner);

#[async_trait]
impl DnsProvider for Hetzner {
    fn id(&self) -> &str {
        "hetzner"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Set);
        capabilities.types = Some(convert::TYPES.to_vec());
        capabilities.min_ttl = Ttl::new(60).unwrap_or_default();
        capabilities.max_txt = convert::LONGEST_TEXT;
        capabilities
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        convert::refusal(&zone.apex, change)
    }

    /// Returns the zones of the project. For a registered domain, only that zone is requested.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        let registered = near.filter(|name| name.is_registered());
        if let Some(domain) = registered {
            let found = self.client.zones(Some(domain.without_dot())).await?;
            if !found.is_empty() {
                return found.into_iter().map(|zone| self.zone(zone)).collect();
            }
        }
        self.client.zones(None).await?.into_iter().map(|zone| self.zone(zone)).collect()
    }

    /// Returns all record sets of the zone, regardless of the scope.
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
        let plan = |change| steps(&batch.zone.apex, &state.sets, &state.extras, change);
        let planned: Vec<Vec<Step>> = batch.changes.iter().map(plan).collect::<Result<_>>()?;
        let mut progress = Progress::default();
        for (change, steps) in batch.changes.iter().zip(&planned) {
            let made = async {
                if progress.hinders(change.key()) {
                    progress.settle(&self.client).await?;
                }
                self.make(batch.zone, state.ttl, change, steps, &mut progress).await
            };
            if let Err(mut failure) = made.await {
                failure.error = failure.error.while_doing(change.key().to_string());
                failure.unknown |= progress.settle(&self.client).await.is_err();
                return Err(ApplyFailure::from(failure).after(progress.done));
            }
        }
        match progress.settle(&self.client).await {
            Ok(()) => Ok(Receipt::new(progress.done)),
            Err(failure) => Err(ApplyFailure { error: failure.error, applied: Applied::Unknown }),
        }
    }

    /// Hetzner does not report this.
    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::NotReported)
    }
}
