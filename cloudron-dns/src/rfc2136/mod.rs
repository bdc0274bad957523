//! Any authoritative server that accepts dynamic updates (RFC 2136): BIND, Knot, PowerDNS and others.
//!
//! One plan is one message with preconditions, deletions and additions. It is signed with a shared key (TSIG, RFC
//! 8945), and applied completely or not at all. Zones are read by transfer (AXFR, RFC 5936) if the server allows it,
//! and otherwise by a query for each name and type. Everything uses TCP.

mod client;
mod code;
mod convert;
mod failure;
mod input;
mod key;
mod message;
mod options;
mod read;
mod steps;
mod tsig;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

pub use key::{TsigAlgorithm, TsigKey};
pub use options::Rfc2136Options;

use self::client::{Client, Request};
use self::code::Code;
use self::convert::State;
use self::failure::Problem;
use self::message::Record;
use self::read::{Found, Transfer};
use self::steps::Update;
use crate::{
    Applied, ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Error, Name, Receipt,
    RecordKey, RecordSet, RecordType, Result, Scope, Snapshot, SyncStatus, Visibility, Zone, codes,
};

/// The zones of an authoritative server.
///
/// The server itself checks preconditions: of two writers, the later one gets `dns-stale`. They compare values, not
/// TTLs. A batch is split only beyond 65,535 bytes, and then each message is atomic by itself.
///
/// ```no_run
/// # async fn f() -> cloudron_dns::Result<()> {
/// use cloudron_dns::rfc2136::{Rfc2136Options, Rfc2136Provider, TsigKey};
/// use cloudron_dns::{Name, find_zone};
///
/// let key = TsigKey::parse("hmac-sha256:laptop:c2VjcmV0IHNlY3JldA==")?;
/// let options = Rfc2136Options::new(([192, 0, 2, 53], 53).into()).with_key(key);
/// let provider = Rfc2136Provider::new(options);
/// let zone = find_zone(&provider, &Name::parse("my.example.com")?).await?;
/// # Ok(())
/// # }
/// ```
pub struct Rfc2136Provider {
    client: Client,
    options: Rfc2136Options,
    /// True if a transfer was refused, so that no further one is tried.
    no_transfer: AtomicBool,
}

impl fmt::Debug for Rfc2136Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rfc2136Options { server, key, zone, .. } = &self.options;
        f.debug_struct("Rfc2136Provider")
            .field("server", server)
            .field("key", key)
            .field("zone", zone)
            .finish_non_exhaustive()
    }
}

impl Rfc2136Provider {
    /// Creates a provider for a server. Nothing is sent yet.
    pub fn new(options: Rfc2136Options) -> Self {
        let client = Client {
            server: options.server,
            key: options.key.clone(),
            limit: options.timeout,
            clock: options.clock.clone(),
        };
        Self { client, options, no_transfer: AtomicBool::new(false) }
    }

    /// Retries a read after a transient failure.
    async fn patiently<T, F>(&self, mut reading: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        let server = self.options.server;
        let once = || {
            let reading = reading();
            async move { reading.await.map_err(|problem| problem.error(server)) }
        };
        self.options.retry.run(&*self.options.clock, once).await
    }

    /// Returns the records of a zone: of these names, or all. Also returns whether these are all records.
    async fn records(&self, apex: &Name, names: Option<&[Name]>) -> Result<(Vec<Record>, bool)> {
        let server = self.options.server;
        let mut refused = None;
        if self.options.transfer && !self.no_transfer.load(Ordering::Relaxed) {
            match self.patiently(|| read::transfer(&self.client, apex)).await? {
                Transfer::Whole(records) => return Ok((records, true)),
                Transfer::Refused(code @ (Code::REFUSED | Code::NOTAUTH | Code::NOTIMP)) => {
                    refused = Some(code)
                }
                Transfer::Refused(code) => return Err(failure::reading(server, apex, code)),
            }
        }
        // This also shows whether the zone exists at all.
        let asked = names.unwrap_or_default();
        match self.patiently(|| read::names(&self.client, apex, asked)).await? {
            Err(code) => Err(failure::reading(server, apex, code)),
            Ok(_) if names.is_none() => {
                Err(failure::transfer_refused(server, apex, refused.unwrap_or(Code::REFUSED)))
            }
            Ok(records) => {
                self.no_transfer.store(true, Ordering::Relaxed);
                Ok((records, false))
            }
        }
    }

    async fn send(&self, request: &Request) -> Result<Code, Problem> {
        let mut connection = self.client.connect().await?;
        let mut asked = connection.send(request).await?;
        Ok(connection.receive(&mut asked).await?.code())
    }

    async fn write(&self, zone: &Zone, update: Update, changes: &[Change]) -> Result<(), ApplyFailure> {
        let server = self.options.server;
        let request = Request::update(&zone.apex, update.prerequisites, update.changes);
        let code = self.send(&request).await.map_err(|problem| {
            let applied = if problem.unknown() { Applied::Unknown } else { Applied::Nothing };
            ApplyFailure { error: problem.error(server), applied }
        })?;
        let keys: BTreeSet<&RecordKey> = update.keys.iter().collect();
        let changes: Vec<&Change> = changes.iter().filter(|change| keys.contains(change.key())).collect();
        match code {
            Code::OK => match steps::replacing_cnames(&changes) {
                cnames if cnames.is_empty() => Ok(()),
                cnames => {
                    let done = self.complete(zone, cnames).await;
                    done.map_err(|error| ApplyFailure { error, applied: Applied::Unknown })
                }
            },
            Code::YXDOMAIN | Code::YXRRSET | Code::NXRRSET | Code::NXDOMAIN => {
                Err(self.late(zone, code, &changes).await.into())
            }
            Code::REFUSED if let Some(name) = steps::no_host_name(&changes) => {
                Err(failure::no_host_name(server, &name).into())
            }
            Code::FORMERR if let Some(rtype) = steps::no_mnemonic(&changes) => {
                Err(failure::no_such_type(server, &zone.apex, rtype).into())
            }
            code => Err(failure::writing(server, &zone.apex, code).into()),
        }
    }

    /// Ensures that CNAMEs have replaced other sets. In a zone that it signs, Knot deletes those sets and ignores the
    /// CNAME of the same message, with a NOERROR; it accepts the CNAME in a second message.
    async fn complete(&self, zone: &Zone, cnames: Vec<RecordSet>) -> Result<()> {
        let server = self.options.server;
        let missing = self.missing(zone, cnames).await?;
        let creations: Vec<Change> = missing.iter().cloned().map(Change::Create).collect();
        for update in steps::updates(&zone.apex, None, &creations)? {
            let request = Request::update(&zone.apex, update.prerequisites, update.changes);
            let code = self.send(&request).await.map_err(|problem| problem.error(server))?;
            if code != Code::OK {
                return Err(failure::writing(server, &zone.apex, code));
            }
        }
        match &self.missing(zone, missing).await?[..] {
            [] => Ok(()),
            [first, ..] => {
                let message = format!("{server} says that it took {}, and it is not there", first.key());
                Err(Error::new(&codes::REFUSED, message)
                    .with_hint("run the command again: it reads the zone first"))
            }
        }
    }

    /// Returns those of the sets that do not exist.
    async fn missing(&self, zone: &Zone, sets: Vec<RecordSet>) -> Result<Vec<RecordSet>> {
        if sets.is_empty() {
            return Ok(sets);
        }
        let server = self.options.server;
        let names: Vec<Name> = sets.iter().map(|set| set.name().clone()).collect();
        let read = self.patiently(|| read::names(&self.client, &zone.apex, &names)).await?;
        let records = read.map_err(|code| failure::reading(server, &zone.apex, code))?;
        let (_, known) = convert::sets(&zone.apex, records, Some(&names.iter().collect()))?;
        let there = |set: &RecordSet| known.get(set.key()).is_some_and(|known| known.set.same_values(set));
        Ok(sets.into_iter().filter(|set| !there(set)).collect())
    }

    /// Returns the error for a failed precondition, and names it if the server gives enough information.
    async fn late(&self, zone: &Zone, code: Code, changes: &[&Change]) -> Error {
        let names: BTreeSet<Name> = changes.iter().map(|change| change.key().name.clone()).take(50).collect();
        let names: Vec<Name> = names.into_iter().collect();
        let read = match read::names(&self.client, &zone.apex, &names).await {
            Ok(Ok(records)) => convert::sets(&zone.apex, records, None).ok(),
            _ => None,
        };
        let now = read.map(|(sets, _)| Snapshot::new(zone.clone(), sets, false));
        let stale = |what: String| Error::new(&codes::STALE, what).with_hint("run the command again");
        for change in now.iter().flat_map(|_| changes) {
            let Some(now) = &now else { break };
            let key = change.key();
            let there = now.sets.get(key);
            let values = |set: &RecordSet| set.values().to_vec();
            if there.and_then(|t| t.plain()).map(values) != change.before().map(values) {
                let there = there.map_or("nothing".to_owned(), |t| t.to_string().replace('\n', " and "));
                return stale(format!("{key}: there is {there} now"));
            }
            let others: Vec<&RecordKey> =
                now.at(&key.name).map(|set| set.key()).filter(|k| *k != key).collect();
            let going = |key: &RecordKey| changes.iter().any(|c| c.key() == key && c.after().is_none());
            let clash = |other: &&&RecordKey| {
                (other.rtype == RecordType::CNAME) != (key.rtype == RecordType::CNAME) && !going(other)
            };
            if let (Some(other), Some(_)) = (others.iter().find(clash), change.after()) {
                let message =
                    format!("{key}: a CNAME cannot stand beside other records, and there is {other}");
                return Error::new(&codes::CONFLICT, message);
            }
        }
        let zone = &zone.apex;
        if code == Code::YXDOMAIN {
            return Error::new(
                &codes::CONFLICT,
                format!("{zone}: a CNAME cannot stand beside other records ({code})"),
            );
        }
        stale(format!("the zone {zone} changed since it was read ({code})"))
    }
}

#[async_trait]
impl DnsProvider for Rfc2136Provider {
    fn id(&self) -> &str {
        "rfc2136"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Batch);
        capabilities.preconditions = true;
        // Records that are not allowed in a zone are ignored with a NOERROR (RFC 2136, section 3.4.2.2).
        capabilities.may_drop = true;
        capabilities.listing = self.options.transfer;
        // Single queries are sent for the known types.
        capabilities.types = (!self.options.transfer).then(|| steps::TYPES.map(RecordType).to_vec());
        capabilities.max_txt = steps::LONGEST_TEXT;
        capabilities
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        steps::refusal(&zone.apex, change)
    }

    /// Returns the configured zone, or the zone of `near` at this server, usually with one query. Without either, it
    /// fails with `dns-unsupported`: a server cannot list its zones.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        let zone =
            |apex: &Name| Zone::new(apex.to_string(), apex.clone()).with_visibility(Visibility::Unknown);
        if let Some(apex) = &self.options.zone {
            return Ok(vec![zone(apex)]);
        }
        let Some(near) = near else {
            let message = format!("{} cannot be asked for a list of its zones", self.options.server);
            return Err(Error::new(&codes::UNSUPPORTED, message).with_hint("name the zone"));
        };
        match self.patiently(|| read::zone_of(&self.client, near)).await? {
            Found::Zone(apex) => Ok(vec![zone(&apex)]),
            Found::No(code) => Err(failure::reading(self.options.server, near, code)),
        }
    }

    /// Reads by transfer, in one exchange. If that is refused, it sends a query for each name and type, which does not
    /// find rarely used types and cannot read whole zones.
    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        let names = match scope {
            Scope::Names(names) => Some(names),
            Scope::Zone => None,
        };
        let (records, complete) = self.records(&zone.apex, names).await?;
        let wanted = names.filter(|_| !complete).map(|names| names.iter().collect::<BTreeSet<_>>());
        let (sets, known) = convert::sets(&zone.apex, records, wanted.as_ref())?;
        let state = State { zone: zone.id.clone(), known };
        Ok(Snapshot::new(zone.clone(), sets, complete).with_handle(Arc::new(state)))
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let state = batch.handle.and_then(|handle| handle.downcast_ref::<State>());
        let state = state.filter(|state| state.zone == batch.zone.id);
        let mut applied = Vec::new();
        for update in steps::updates(&batch.zone.apex, state, batch.changes)? {
            let keys = update.keys.clone();
            if let Err(failure) = self.write(batch.zone, update, batch.changes).await {
                return Err(failure.after(applied));
            }
            applied.extend(keys);
        }
        Ok(Receipt::new(applied))
    }

    /// A server does not report the state of its secondary servers; query them instead (`propagation`).
    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::NotReported)
    }
}
