//! A provider of [`cloudron_dns`] for the DNS hosts that the crate [`dns_update`] supports: some seventy.
//!
//! ```no_run
//! # async fn f() -> cloudron_dns::Result<()> {
//! use cloudron_dns::propagation::Lookup;
//! use cloudron_dns::{Name, find_zone};
//! use cloudron_dns_update::DnsUpdate;
//! use dns_update::DnsUpdater;
//!
//! let host = DnsUpdater::new_desec("token", None).expect("a client");
//! let provider = DnsUpdate::new("desec", host, Name::parse("example.com")?, Lookup::system()?)?;
//! let zone = find_zone(&provider, &Name::parse("my.example.com")?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It guarantees less than the providers of `cloudron-dns` itself:
//!
//! - One set is written after the other, each as a whole as far as the host and `dns-update` do so; without
//!   preconditions.
//! - Zones cannot be listed. Reading queries the authoritative name servers, which lag behind the host and answer an
//!   alias with addresses. Before a set is written, the host must have what was read or what is desired, if
//!   `dns-update` can query it.
//! - After each set the host is queried again, and a difference from what was written is an error. If it cannot be
//!   queried, the name servers must show the set within five minutes. TTLs are not compared, because `dns-update` does
//!   not report them.
//! - Hosts with a provider in `cloudron-dns` are refused.

#![forbid(unsafe_code)]

mod convert;
mod host;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::Secret;
use cloudron_dns::propagation::{Lookup, WaitOptions, wait};
use cloudron_dns::wildcard::WildcardProvider;
use cloudron_dns::{
    Applied, ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Error, Intent, Name, Receipt,
    RecordData, RecordKey, Result, Scope, Snapshot, SyncStatus, Ttl, Zone, codes,
};
use dns_update::{DnsRecord, DnsRecordType, DnsUpdater};

use self::host::{Failed, Host};

/// One zone at a host that [`dns_update`] supports.
pub struct DnsUpdate {
    name: String,
    host: Box<dyn Host>,
    zone: Zone,
    lookup: Lookup,
    min_ttl: Ttl,
    limit: Duration,
    secret: Option<Secret>,
}

/// A change in the form of `dns-update`.
struct Step<'a> {
    change: &'a Change,
    rtype: DnsRecordType,
    ttl: u32,
    records: Vec<DnsRecord>,
}

impl DnsUpdate {
    /// Creates a provider for a zone at a host; `name` is the name of the host, such as `desec`.
    ///
    /// # Errors
    /// `usage` for a host with a provider in `cloudron-dns`, which guarantees more.
    pub fn new(name: impl Into<String>, host: DnsUpdater, apex: Name, lookup: Lookup) -> Result<Self> {
        let better = match host {
            DnsUpdater::Cloudflare(_) => Some("cloudflare"),
            DnsUpdater::DigitalOcean(_) => Some("digitalocean"),
            DnsUpdater::Hetzner(_) => Some("hetzner"),
            DnsUpdater::Pdns(_) => Some("powerdns"),
            DnsUpdater::Rfc2136(_) => Some("rfc2136"),
            DnsUpdater::Route53(_) => Some("route53"),
            _ => None,
        };
        if let Some(better) = better {
            let message = format!("for this host there is the provider {better}, which promises more");
            return Err(Error::new(&cloudron_core::codes::USAGE, message));
        }
        Ok(Self::over(name.into(), Box::new(host), apex, lookup))
    }

    fn over(name: String, host: Box<dyn Host>, apex: Name, lookup: Lookup) -> Self {
        let zone = Zone::new(apex.without_dot().to_owned(), apex);
        let limit = Duration::from_secs(300);
        Self { name, host, zone, lookup, min_ttl: Ttl::MIN, limit, secret: None }
    }

    /// Sets the minimum TTL of the host, such as 3600 seconds at deSEC.
    pub fn with_min_ttl(self, min_ttl: Ttl) -> Self {
        Self { min_ttl, ..self }
    }

    /// Sets the time limit for changes that only the name servers can confirm.
    pub fn confirming_within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Removes the credential from the host's error messages.
    pub fn hiding(self, secret: Secret) -> Self {
        Self { secret: Some(secret), ..self }
    }

    fn reader(&self) -> WildcardProvider {
        WildcardProvider::new(self.lookup.clone())
    }

    fn error(&self, key: &RecordKey, failed: Failed) -> Error {
        let mut said = failed.said;
        if let Some(secret) = self.secret.as_ref().filter(|secret| !secret.is_empty()) {
            said = said.replace(secret.expose(), "…");
        }
        let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
        Error::new(failed.code, format!("{key} at {}: {said}", self.name))
    }

    /// Returns the values at the host; `None` if it cannot be queried.
    async fn held(&self, step: &Step<'_>) -> Result<Option<BTreeSet<RecordData>>> {
        let key = step.change.key();
        match self.host.list(key.name.without_dot(), step.rtype, self.zone.apex.without_dot()).await {
            Ok(records) => convert::values(&self.zone.apex, &records).map(Some),
            Err(failed) if failed.code == &codes::UNSUPPORTED => Ok(None),
            Err(failed) => Err(self.error(key, failed)),
        }
    }

    async fn write(&self, step: &Step<'_>) -> Result<(), ApplyFailure> {
        let (key, wanted) = (step.change.key(), wanted(step.change));
        let before = self.held(step).await?;
        let read = step.change.before().map(|set| set.values().iter().cloned().collect()).unwrap_or_default();
        if before.as_ref().is_some_and(|held| *held != read && *held != wanted) {
            let message = format!("{key}: {} holds {} now", self.name, shown(&before.unwrap_or_default()));
            return Err(Error::new(&codes::STALE, message).into());
        }
        let unknown = |error| ApplyFailure { error, applied: Applied::Unknown };
        let (name, zone) = (key.name.without_dot(), self.zone.apex.without_dot());
        if let Err(failed) = self.host.set(name, step.rtype, step.ttl, step.records.clone(), zone).await {
            let nothing = failed.nothing_done;
            let error = self.error(key, failed);
            return Err(if nothing { error.into() } else { unknown(error) });
        }
        match self.held(step).await.map_err(unknown)? {
            Some(held) if held == wanted => Ok(()),
            Some(held) => {
                let message =
                    format!("{key}: {} took {} and holds {}", self.name, shown(&wanted), shown(&held));
                Err(unknown(Error::new(&codes::REFUSED, message)))
            }
            None => self.confirm(step.change).await.map_err(unknown),
        }
    }

    /// Waits until the name servers show a change.
    async fn confirm(&self, change: &Change) -> Result<()> {
        let intent = match (change.after(), change.before()) {
            (Some(new), _) => Intent::Exactly(new.clone()),
            (None, Some(old)) => Intent::Exclude(old.clone()),
            (None, None) => return Ok(()),
        };
        let options = WaitOptions::default().within(self.limit);
        wait(&self.lookup, &self.zone.apex, &[intent], &options).await.map(|_| ())
    }
}

fn wanted(change: &Change) -> BTreeSet<RecordData> {
    change.after().map(|set| set.values().iter().cloned().collect()).unwrap_or_default()
}

fn shown(values: &BTreeSet<RecordData>) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    if values.is_empty() { "nothing".into() } else { values.join(" and ") }
}

/// Formats no credentials.
impl fmt::Debug for DnsUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsUpdate")
            .field("name", &self.name)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl DnsProvider for DnsUpdate {
    fn id(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Set);
        capabilities.types = Some(convert::TYPES.to_vec());
        capabilities.min_ttl = self.min_ttl;
        capabilities.listing = false;
        capabilities
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        convert::step(&zone.apex, change).err().map(|e| e.message().to_owned())
    }

    /// Returns the given zone.
    async fn list_zones(&self, _near: Option<&Name>) -> Result<Vec<Zone>> {
        Ok(vec![self.zone.clone()])
    }

    /// Returns the record sets of some names, from an authoritative name server.
    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        if zone.apex != self.zone.apex {
            let message = format!("{} was given the zone {}, not {}", self.name, self.zone.apex, zone.apex);
            return Err(Error::new(&codes::ZONE_NOT_FOUND, message));
        }
        self.reader().read(zone, scope).await
    }

    /// Sends nothing unless every change can be represented. Stops at the first set that fails.
    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let step = |change| convert::step(&self.zone.apex, change);
        let steps: Vec<Step<'_>> = batch.changes.iter().map(step).collect::<Result<_>>()?;
        let mut applied = Vec::new();
        for step in &steps {
            if let Err(mut failure) = self.write(step).await {
                if failure.applied == Applied::Nothing && !applied.is_empty() {
                    failure.applied = Applied::Some(applied);
                }
                return Err(failure);
            }
            applied.push(step.change.key().clone());
        }
        Ok(Receipt::new(applied))
    }

    /// The hosts do not report this.
    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::NotReported)
    }
}
