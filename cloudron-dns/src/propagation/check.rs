//! Queries all authoritative servers once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ask::{Silence, ask};
use super::wire::{Answered, Question, Reply};
use super::{Authority, KeyReport, Lookup, Report, ServerReport, Verdict};
use crate::{
    Error, Intent, Name, Observed, OwnerName, Ownership, PlanOptions, Reason, RecordKey, RecordSet,
    RecordType, Result, Snapshot, Ttl, Zone, codes, plan,
};

/// Queries every address of every authoritative server for the desired records, within `limit` in total. TTLs are not
/// compared, since a host may set its own.
///
/// # Errors
/// As [`Lookup::authority`]. Responses and missing responses are in the report.
pub async fn check(lookup: &Lookup, zone: &Name, desired: &[Intent], limit: Duration) -> Result<Report> {
    let deadline = Instant::now() + limit;
    let authority = lookup.zone_until(zone, deadline).await?;
    Ok(check_until(lookup, &authority, desired, deadline).await)
}

/// Queries servers that were found before.
pub async fn check_at(lookup: &Lookup, authority: &Authority, desired: &[Intent], limit: Duration) -> Report {
    check_until(lookup, authority, desired, Instant::now() + limit).await
}

pub(super) async fn check_until(
    lookup: &Lookup,
    authority: &Authority,
    desired: &[Intent],
    deadline: Instant,
) -> Report {
    let mut tasks = JoinSet::new();
    let mut reports: BTreeMap<usize, (ServerReport, Option<u32>)> = BTreeMap::new();
    let mut number = 0;
    for server in &authority.servers {
        if server.addresses.is_empty() {
            let verdict = Verdict::NoAnswer("its name has no address".into());
            let report = blank(server.to_string(), None, desired, &verdict);
            reports.insert(number, (report, None));
            number += 1;
        }
        for address in &server.addresses {
            let one = OneServer {
                zone: authority.zone.clone(),
                name: server.to_string(),
                address: *address,
                limit: lookup.query_timeout,
                deadline,
            };
            let desired = desired.to_vec();
            let at = number;
            tasks.spawn(async move { (at, one.report(&desired).await) });
            number += 1;
        }
    }
    while let Some(done) = tasks.join_next().await {
        // A task that panicked has no report, and a missing report is not agreement: the panic is propagated.
        let (at, report) = done.expect("asking a server does not panic");
        reports.insert(at, report);
    }
    let negative_ttl = reports.values().filter_map(|(_, ttl)| *ttl).max();
    let servers = reports.into_values().map(|(report, _)| report).collect();
    Report { zone: authority.zone.clone(), servers, negative_ttl }
}

fn blank(server: String, address: Option<SocketAddr>, desired: &[Intent], verdict: &Verdict) -> ServerReport {
    let keys = keys_of(desired).into_iter().map(|key| KeyReport { key, verdict: verdict.clone() }).collect();
    ServerReport { server, address, serial: None, keys, millis: 0 }
}

fn keys_of(desired: &[Intent]) -> Vec<RecordKey> {
    let mut keys: Vec<_> = desired.iter().map(Intent::key).collect();
    keys.sort();
    keys.dedup();
    keys
}

struct OneServer {
    zone: Name,
    name: String,
    address: SocketAddr,
    limit: Duration,
    deadline: Instant,
}

impl OneServer {
    /// Returns the report of this address, and how long it lets resolvers cache that a record does not exist.
    async fn report(&self, desired: &[Intent]) -> (ServerReport, Option<u32>) {
        let start = Instant::now();
        let soa = self.ask(&self.zone, RecordType::SOA).await;
        let (serial, negative_ttl) = match &soa {
            Ok(reply) => (reply.soa.as_ref().map(|s| s.serial), reply.soa.as_ref().map(|s| s.negative_ttl)),
            Err(verdict) => {
                let report = blank(self.name.clone(), Some(self.address), desired, verdict);
                return (report, None);
            }
        };
        let mut wishes: BTreeMap<RecordKey, Vec<Intent>> = BTreeMap::new();
        for intent in desired {
            wishes.entry(intent.key()).or_default().push(intent.clone());
        }
        let mut keys = Vec::new();
        for (key, wishes) in wishes {
            let verdict = self.verdict(&key, &wishes).await;
            keys.push(KeyReport { key, verdict });
        }
        let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (server, address) = (self.name.clone(), Some(self.address));
        (ServerReport { server, address, serial, keys, millis }, negative_ttl)
    }

    async fn verdict(&self, key: &RecordKey, wishes: &[Intent]) -> Verdict {
        let found = match self.found(&key.name, key.rtype).await {
            Ok(found) => found,
            Err(verdict) => return verdict,
        };
        let zone = Zone::new("", self.zone.clone());
        judge(wishes, key, &Snapshot::new(zone, found, false))
    }

    /// Returns the records of a set from the server's own answer, or from a referral, which contains the name servers
    /// of a delegation and their addresses in the zone's own data (RFC 1034, section 4.2.1).
    async fn found(&self, name: &Name, rtype: RecordType) -> Result<Vec<Observed>, Verdict> {
        let reply = self.reply(name, rtype).await?;
        match reply.code {
            ResponseCode::NoError | ResponseCode::NXDomain if reply.authoritative => {
                Ok(sets_at(&reply.answers, name))
            }
            ResponseCode::NoError if self.delegation(&reply, name).is_some() => {
                let servers = reply.authorities.iter().filter(|a| a.data.record_type() == RecordType::NS);
                let stated: Vec<Answered> = servers.chain(&reply.additionals).cloned().collect();
                Ok(sets_at(&stated, name))
            }
            ResponseCode::NoError | ResponseCode::NXDomain => Err(Verdict::Lame),
            code => Err(Verdict::Refused(code.to_string())),
        }
    }

    /// Sends a query. Anything except the answer of an authoritative server is a verdict.
    async fn ask(&self, name: &Name, rtype: RecordType) -> Result<Reply, Verdict> {
        let reply = self.reply(name, rtype).await?;
        match reply.code {
            ResponseCode::NoError | ResponseCode::NXDomain if reply.authoritative => Ok(reply),
            ResponseCode::NoError | ResponseCode::NXDomain => Err(Verdict::Lame),
            code => Err(Verdict::Refused(code.to_string())),
        }
    }

    async fn reply(&self, name: &Name, rtype: RecordType) -> Result<Reply, Verdict> {
        let question = Question { name: name.clone(), rtype, recursive: false };
        let reply = ask(self.address, &question, self.limit, self.deadline).await;
        reply.map_err(|silence| match silence.is_no_route() {
            true => Verdict::NoRoute,
            false => Verdict::NoAnswer(silence.to_string()),
        })
    }
}

/// Returns whether the server's records fulfil the intents, that is, whether a plan would not change them.
fn judge(wishes: &[Intent], key: &RecordKey, found: &Snapshot) -> Verdict {
    let plan = plan(wishes, found, &Ownership::none(), &PlanOptions::default());
    if let Some(conflict) = plan.conflicts.first() {
        let found: Vec<Observed> = found.at(&key.name).cloned().collect();
        if found.is_empty() {
            let why = Error::new(&codes::CONFLICT, conflict.to_string());
            return Verdict::NoAnswer(why.message().to_owned());
        }
        return match &conflict.reason {
            Reason::Spf(why) => Verdict::Broken { found, why: why.clone() },
            _ => Verdict::Differs { found, wanted: conflict.wanted.clone() },
        };
    }
    match plan.changes.first() {
        None => Verdict::Agrees,
        Some(change) => match (change.before(), change.after()) {
            (None, Some(wanted)) => Verdict::Missing { wanted: wanted.clone() },
            (Some(old), Some(new)) if old.same_values(new) => Verdict::Agrees,
            (_, wanted) => {
                Verdict::Differs { found: found.at(&key.name).cloned().collect(), wanted: wanted.cloned() }
            }
        },
    }
}

/// Returns the record sets of a name in a section of a response.
fn sets_at(section: &[Answered], name: &Name) -> Vec<Observed> {
    let mut by_type: BTreeMap<RecordType, (u32, Vec<_>)> = BTreeMap::new();
    for record in section.iter().filter(|record| record.name == *name) {
        let entry = by_type.entry(record.data.record_type()).or_insert((record.ttl, Vec::new()));
        entry.0 = entry.0.min(record.ttl);
        entry.1.push(record.data.clone());
    }
    let sets = by_type.into_values().filter_map(|(ttl, values)| {
        // A TTL with its top bit set means 0 (RFC 2181, section 8).
        RecordSet::new(name.clone(), Ttl::new(ttl).unwrap_or(Ttl::MIN), values).ok()
    });
    sets.map(Observed::Plain).collect()
}

/// The types that are queried to read a name's record sets over DNS: there is no query for all of them (RFC 8482).
const READ: &[RecordType] = RecordType::TYPED.split_at(8).0;

/// Reads the record sets of names, of the types in [`RecordData`](crate::RecordData), from the first authoritative
/// server that answers all queries. Records that a wildcard provides for a name count as existing at that name.
///
/// # Errors
/// As [`Lookup::authority`]; `dns-no-answer` if no server answers all queries within `limit`.
pub async fn read_names(
    lookup: &Lookup,
    authority: &Authority,
    names: &[OwnerName],
    limit: Duration,
) -> Result<Vec<Observed>> {
    let deadline = Instant::now() + limit;
    let mut why = Vec::new();
    for server in &authority.servers {
        for address in &server.addresses {
            let one = OneServer {
                zone: authority.zone.clone(),
                name: server.to_string(),
                address: *address,
                limit: lookup.query_timeout,
                deadline,
            };
            match one.read(names).await {
                Ok(sets) => return Ok(sets),
                Err(verdict) => why.push(format!("{server} ({address}): {verdict}")),
            }
        }
    }
    let message = format!("no name server of {} says what it has: {}", authority.zone, why.join("; "));
    Err(Error::new(&codes::NO_ANSWER, message))
}

impl OneServer {
    async fn read(&self, names: &[OwnerName]) -> Result<Vec<Observed>, Verdict> {
        let mut sets = Vec::new();
        for name in names {
            for &rtype in READ {
                let question = Question { name: name.clone(), rtype, recursive: false };
                let reply = ask(self.address, &question, self.limit, self.deadline).await;
                let reply = reply.map_err(|silence: Silence| Verdict::NoAnswer(silence.to_string()))?;
                match reply.code {
                    ResponseCode::NoError | ResponseCode::NXDomain => {}
                    code => return Err(Verdict::Refused(code.to_string())),
                }
                if !reply.authoritative {
                    let cut = self.delegation(&reply, name).ok_or(Verdict::Lame)?;
                    sets.push(Observed::Plain(cut));
                    break;
                }
                sets.extend(sets_at(&reply.answers, name));
            }
        }
        sets.sort_by(|a, b| a.key().cmp(b.key()));
        sets.dedup_by(|a, b| a.key() == b.key());
        Ok(sets)
    }

    /// Returns the name server set of the child zone that a response refers to.
    fn delegation(&self, reply: &Reply, name: &Name) -> Option<RecordSet> {
        let below = |cut: &Name| name.is_in(cut) && cut.is_below(&self.zone);
        let mut records = reply.authorities.iter().filter(|a| a.data.record_type() == RecordType::NS);
        let cut = records.find(|a| below(&a.name))?.name.clone();
        let of_cut =
            reply.authorities.iter().filter(|a| a.name == cut && a.data.record_type() == RecordType::NS);
        RecordSet::new(cut.clone(), Ttl::DEFAULT, of_cut.map(|a| a.data.clone())).ok()
    }
}
