//! The walk from the root, or from known servers, down to the name servers of a zone.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::ResponseCode;
use tokio::time::Instant;

use super::ask::ask;
use super::lookup::{Authority, Lookup, Server, Start};
use super::wire::{Answered, Question, Reply};
use crate::{Error, Name, RecordData, RecordType, Result, codes};

const MAX_REFERRALS: usize = 16;
/// Maximum nesting of walks to addresses of name servers.
const MAX_DEPTH: usize = 4;

/// One walk from the top down to a name.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    lookup: &'a Lookup,
    deadline: Instant,
    depth: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(lookup: &'a Lookup, deadline: Instant) -> Self {
        Self { lookup, deadline, depth: 0 }
    }

    pub(super) async fn run(&self, name: &Name) -> Result<Authority> {
        let mut servers = self.top().await?;
        let mut delegated: Vec<Server> = servers.clone();
        let mut at: Option<Name> = None;
        let mut asked = name.clone();
        for _ in 0..MAX_REFERRALS {
            let leads_on = |r: &Reply| {
                zone_of(r, &asked).is_some()
                    || referral(r, &asked, at.as_ref()).is_some()
                    || is_alias(r, &asked)
            };
            let reply = self.any(&servers, &asked, RecordType::SOA, leads_on).await?;
            if let Some(zone) = zone_of(&reply, &asked) {
                return self.complete(zone.clone(), servers, delegated).await;
            }
            // The response is about the target of the alias. An alias is never the apex of a zone.
            if let Some(parent) = asked.parent().filter(|_| is_alias(&reply, &asked)) {
                asked = parent;
                continue;
            }
            let Some((cut, names)) = referral(&reply, &asked, at.as_ref()) else {
                return Err(dead_end(name, &reply, &servers));
            };
            delegated = self.addressed(names, &reply.additionals).await;
            servers = delegated.iter().filter(|s| !s.addresses.is_empty()).cloned().collect();
            if servers.is_empty() {
                let names: Vec<_> = delegated.iter().map(ToString::to_string).collect();
                let message = format!("{cut} is delegated to {}, which have no address", names.join(", "));
                return Err(Error::new(&codes::NO_DELEGATION, message));
            }
            at = Some(cut);
        }
        Err(Error::new(&codes::NO_DELEGATION, format!("more than {MAX_REFERRALS} referrals lead nowhere")))
    }

    /// Returns the servers at which the walk starts.
    async fn top(&self) -> Result<Vec<Server>> {
        let resolvers = match &self.lookup.start {
            Start::Above(addresses) | Start::Given(addresses) => {
                let server = |address: &SocketAddr| Server { name: None, addresses: vec![*address] };
                return Ok(addresses.iter().map(server).collect());
            }
            Start::Resolvers(resolvers) => resolvers,
        };
        let reply = self.resolve(resolvers, &Name::root(), RecordType::NS).await?;
        let names = ns_names(&reply.answers, &Name::root());
        let mut root = Vec::new();
        // Three of the root's servers are sufficient.
        for name in names.into_iter().take(3) {
            let addresses = self.addresses(&name).await;
            root.push(Server { name: Some(name), addresses });
        }
        root.retain(|server| !server.addresses.is_empty());
        if root.is_empty() {
            let message = "the resolver of this machine knows no address of a root server";
            return Err(Error::new(&codes::NO_ANSWER, message));
        }
        Ok(root)
    }

    /// Adds the servers that the zone itself names to those that the parent zone names.
    async fn complete(&self, zone: Name, servers: Vec<Server>, delegated: Vec<Server>) -> Result<Authority> {
        if matches!(self.lookup.start, Start::Given(_)) {
            return Ok(Authority { zone, servers });
        }
        let reply = self.any(&servers, &zone, RecordType::NS, |r| r.authoritative).await?;
        let known: BTreeSet<&Name> = delegated.iter().filter_map(|s| s.name.as_ref()).collect();
        let new: Vec<Name> =
            ns_names(&reply.answers, &zone).into_iter().filter(|n| !known.contains(n)).collect();
        // The servers at which a walk starts are known only by address, but they also have names.
        let mut all: Vec<Server> =
            delegated.into_iter().filter(|s| s.name.is_some() || new.is_empty()).collect();
        let (inside, outside) = new.into_iter().partition(|name| name.is_in(&zone));
        for name in inside {
            let addresses = self.addresses_inside(&servers, &name).await;
            all.push(Server { name: Some(name), addresses });
        }
        all.extend(self.addressed(outside, &reply.additionals).await);
        Ok(Authority { zone, servers: all })
    }

    /// Returns the addresses of a name server inside the zone that it serves, from the servers that were found: a walk
    /// to it would end at this zone again.
    async fn addresses_inside(&self, servers: &[Server], name: &Name) -> Vec<SocketAddr> {
        let mut found = Vec::new();
        for rtype in [RecordType::A, RecordType::AAAA] {
            match self.any(servers, name, rtype, |r| r.authoritative).await {
                Ok(reply) if !reply.authoritative => return self.addresses(name).await,
                reply => found.extend(reply.iter().flat_map(|r| &r.answers).filter_map(address)),
            }
        }
        found.into_iter().map(|address| SocketAddr::new(address, self.lookup.port)).collect()
    }

    /// Returns name servers with their addresses: from the message if it contains them (glue), otherwise looked up.
    async fn addressed(&self, names: Vec<Name>, additionals: &[Answered]) -> Vec<Server> {
        let mut servers = Vec::new();
        for name in names {
            let glue = additionals.iter().filter(|a| a.name == name).filter_map(address);
            let mut addresses: Vec<SocketAddr> =
                glue.map(|address| SocketAddr::new(address, self.lookup.port)).collect();
            if addresses.is_empty() {
                addresses = self.addresses(&name).await;
            }
            servers.push(Server { name: Some(name), addresses });
        }
        servers
    }

    /// Returns the addresses of a name; none if it has none or no server knows.
    async fn addresses(&self, name: &Name) -> Vec<SocketAddr> {
        let mut found = Vec::new();
        for rtype in [RecordType::A, RecordType::AAAA] {
            let reply = match &self.lookup.start {
                Start::Resolvers(resolvers) => self.resolve(resolvers, name, rtype).await.ok(),
                Start::Above(_) if self.depth < MAX_DEPTH => {
                    let deeper = Walk { depth: self.depth + 1, ..*self };
                    match Box::pin(deeper.run(name)).await {
                        Ok(authority) => {
                            self.any(&authority.servers, name, rtype, |r| r.authoritative).await.ok()
                        }
                        Err(_) => None,
                    }
                }
                Start::Above(_) | Start::Given(_) => None,
            };
            found.extend(reply.iter().flat_map(|r| &r.answers).filter_map(address));
        }
        found.into_iter().map(|address| SocketAddr::new(address, self.lookup.port)).collect()
    }

    async fn resolve(&self, resolvers: &[SocketAddr], name: &Name, rtype: RecordType) -> Result<Reply> {
        let question = Question { name: name.clone(), rtype, recursive: true };
        self.first(resolvers.iter().copied(), &question, |_| true).await
    }

    async fn any(
        &self,
        servers: &[Server],
        name: &Name,
        rtype: RecordType,
        useful: impl Fn(&Reply) -> bool,
    ) -> Result<Reply> {
        let question = Question { name: name.clone(), rtype, recursive: false };
        self.first(servers.iter().flat_map(|s| s.addresses.iter().copied()), &question, useful).await
    }

    /// Returns the first useful response of several servers, or another one if there is no useful one.
    async fn first(
        &self,
        servers: impl Iterator<Item = SocketAddr>,
        question: &Question,
        useful: impl Fn(&Reply) -> bool,
    ) -> Result<Reply> {
        let mut why = Vec::new();
        let mut useless = None;
        for server in servers {
            match ask(server, question, self.lookup.query_timeout, self.deadline).await {
                Ok(reply) if matches!(reply.code, ResponseCode::NoError | ResponseCode::NXDomain) => {
                    if useful(&reply) {
                        return Ok(reply);
                    }
                    useless = Some(reply);
                }
                Ok(reply) => why.push(format!("{server}: {}", reply.code)),
                Err(silence) => why.push(format!("{server}: {silence}")),
            }
            if Instant::now() >= self.deadline {
                break;
            }
        }
        if let Some(reply) = useless {
            return Ok(reply);
        }
        let Question { name, rtype, .. } = question;
        let why = if why.is_empty() { "there is none to ask".into() } else { why.join("; ") };
        let message = format!("no name server answered for {name} {rtype} ({why})");
        Err(Error::new(&codes::NO_ANSWER, message)
            .with_hint("check this machine's network, and that port 53 is not blocked"))
    }
}

/// Returns the zone that contains a name, according to an authoritative server.
fn zone_of<'a>(reply: &'a Reply, name: &Name) -> Option<&'a Name> {
    let soa = reply.soa.as_ref().filter(|soa| reply.authoritative && name.is_in(&soa.zone))?;
    Some(&soa.zone)
}

/// Returns whether a name is an alias, according to an authoritative server.
fn is_alias(reply: &Reply, name: &Name) -> bool {
    let alias = |record: &Answered| record.name == *name && matches!(record.data, RecordData::Cname(_));
    reply.authoritative && reply.answers.iter().any(alias)
}

/// Returns the zone cut below `at` that a response refers to, and the names of its servers.
fn referral(reply: &Reply, name: &Name, at: Option<&Name>) -> Option<(Name, Vec<Name>)> {
    let records = reply.authorities.iter().filter(|a| matches!(a.data, RecordData::Ns(_)));
    let mut cuts =
        records.map(|a| &a.name).filter(|cut| name.is_in(cut) && at.is_none_or(|at| cut.is_below(at)));
    let cut = cuts.next()?.clone();
    let names = ns_names(&reply.authorities, &cut);
    Some((cut, names))
}

fn dead_end(name: &Name, reply: &Reply, servers: &[Server]) -> Error {
    let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
    let servers = servers.join(", ");
    let message = match reply.code {
        ResponseCode::NXDomain => format!("{servers} say that {name} does not exist"),
        _ => format!("{servers} neither answer for {name} nor say who does"),
    };
    Error::new(&codes::NO_DELEGATION, message)
        .with_hint("check at the registrar that the domain is registered and which name servers it has")
}

fn ns_names(records: &[Answered], owner: &Name) -> Vec<Name> {
    let mut names: Vec<Name> = records
        .iter()
        .filter(|record| record.name == *owner)
        .filter_map(|record| match &record.data {
            RecordData::Ns(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn address(record: &Answered) -> Option<IpAddr> {
    match record.data {
        RecordData::A(address) => Some(address.into()),
        RecordData::Aaaa(address) => Some(address.into()),
        _ => None,
    }
}
