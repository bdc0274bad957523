//! Finding the authoritative name servers.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::time::Instant;

use super::ask::{Silence, ask};
use super::wire::{Answered, Question, Reply};
use crate::{Error, Name, RecordData, RecordType, Result, codes};

const MAX_REFERRALS: usize = 16;
const MAX_DEPTH: usize = 4;

/// How the authoritative name servers are found, and how long each question may take.
#[derive(Debug, Clone)]
pub struct Lookup {
    start: Start,
    port: u16,
    pub(super) query_timeout: Duration,
}

#[derive(Debug, Clone)]
enum Start {
    /// Walk down from the root, whose addresses these resolvers know.
    Resolvers(Vec<SocketAddr>),
    /// Walk down from these servers of the root, or of any zone above.
    Above(Vec<SocketAddr>),
    /// These are the authoritative servers.
    Given(Vec<SocketAddr>),
}

/// The zone that a name lies in, and the name servers that answer for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authority {
    /// The top of the zone.
    pub zone: Name,
    /// Its name servers: those that the zone above names, and those that the zone itself names.
    pub servers: Vec<Server>,
}

/// One name server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Its name; `None` for one given by address.
    pub name: Option<Name>,
    /// Its addresses; none when its name has no address.
    pub addresses: Vec<SocketAddr>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.addresses.first()) {
            (Some(name), _) => f.write_str(name.without_dot()),
            (None, Some(address)) => address.fmt(f),
            (None, None) => f.write_str("a name server without an address"),
        }
    }
}

impl Lookup {
    /// Walks down from the root. The addresses of the root's servers are asked from the resolvers that
    /// `/etc/resolv.conf` names; nothing else is.
    ///
    /// # Errors
    /// `dns-no-answer` when no resolver is configured.
    pub fn system() -> Result<Self> {
        let path = "/etc/resolv.conf";
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let resolvers = resolvers(&text);
        if resolvers.is_empty() {
            let error = Error::new(&codes::NO_ANSWER, format!("{path} names no resolver")).retryable(false);
            return Err(error.with_hint(format!("add a line `nameserver ADDRESS` to {path}")));
        }
        Ok(Self::of(Start::Resolvers(resolvers)))
    }

    /// Walks down from servers of the root, or of any zone above those that are looked up.
    pub fn from_root(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::of(Start::Above(servers.into_iter().collect()))
    }

    /// Walks nowhere: these servers are the authoritative ones. For zones at home, in an intranet and in tests.
    pub fn at(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::of(Start::Given(servers.into_iter().collect()))
    }

    fn of(start: Start) -> Self {
        Self { start, port: 53, query_timeout: Duration::from_secs(5) }
    }

    /// The same with another port than 53 for every server that is found.
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The same with another limit than 5 seconds for each question.
    pub fn with_query_timeout(self, query_timeout: Duration) -> Self {
        Self { query_timeout, ..self }
    }

    /// The zone that a name lies in and the name servers that answer for it, found within `limit`.
    ///
    /// # Errors
    /// `dns-no-answer` when no server answers on the way down; `dns-no-delegation` when the way ends.
    pub async fn authority(&self, name: &Name, limit: Duration) -> Result<Authority> {
        self.authority_until(name, Instant::now() + limit).await
    }

    /// The name servers of a zone, whose top the name must be.
    pub(super) async fn zone_until(&self, zone: &Name, deadline: Instant) -> Result<Authority> {
        let authority = self.authority_until(zone, deadline).await?;
        if authority.zone != *zone {
            let message =
                format!("{zone} is no zone of its own: its name servers answer for {}", authority.zone);
            return Err(Error::new(&codes::NO_DELEGATION, message).with_hint(
                "check at the registrar that the domain is registered and which name servers it has",
            ));
        }
        Ok(authority)
    }

    /// Whether the servers were given, rather than found by a walk.
    #[cfg(feature = "wildcard")]
    pub(crate) fn is_given(&self) -> bool {
        matches!(self.start, Start::Given(_))
    }

    pub(super) async fn authority_until(&self, name: &Name, deadline: Instant) -> Result<Authority> {
        let walk = Walk { lookup: self, deadline, depth: 0 };
        let found = walk.run(name).await;
        found.map_err(|e| e.while_doing(format!("looking for the name servers of {name}")))
    }
}

/// The servers that lines `nameserver ADDRESS` name (resolv.conf(5)).
fn resolvers(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next())??;
        address.parse::<IpAddr>().ok()
    });
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

/// One walk from the top down to a name.
#[derive(Clone, Copy)]
struct Walk<'a> {
    lookup: &'a Lookup,
    deadline: Instant,
    depth: usize,
}

impl Walk<'_> {
    async fn run(&self, name: &Name) -> Result<Authority> {
        let mut servers = self.top().await?;
        let mut delegated: Vec<Server> = servers.clone();
        let mut at: Option<Name> = None;
        for _ in 0..MAX_REFERRALS {
            let leads_on = |r: &Reply| zone_of(r, name).is_some() || referral(r, name, at.as_ref()).is_some();
            let reply = self.any(&servers, name, RecordType::SOA, leads_on).await?;
            if let Some(zone) = zone_of(&reply, name) {
                return self.complete(zone.clone(), servers, delegated).await;
            }
            let Some((cut, names)) = referral(&reply, name, at.as_ref()) else {
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

    /// The servers that the walk starts at.
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
        // Three of the root's servers are as good as thirteen.
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

    /// Adds the servers that the zone itself names to those that the zone above names.
    async fn complete(&self, zone: Name, servers: Vec<Server>, delegated: Vec<Server>) -> Result<Authority> {
        if matches!(self.lookup.start, Start::Given(_)) {
            return Ok(Authority { zone, servers });
        }
        let reply = self.any(&servers, &zone, RecordType::NS, |r| r.authoritative).await?;
        let known: BTreeSet<&Name> = delegated.iter().filter_map(|s| s.name.as_ref()).collect();
        let new: Vec<Name> =
            ns_names(&reply.answers, &zone).into_iter().filter(|n| !known.contains(n)).collect();
        // The servers that a walk starts at are known by address only, and answer to their names too.
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

    /// The addresses of a name server inside of the zone that it serves, from the servers that were found: a walk to
    /// it would end at this zone again.
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

    /// Name servers with their addresses: from the message where it has them (glue), else looked up.
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

    /// The addresses of a name; none if it has none or nobody knows.
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

    /// The first useful answer of several servers, or one that is not useful if no other came.
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

/// The zone that a responsible server says a name lies in.
fn zone_of<'a>(reply: &'a Reply, name: &Name) -> Option<&'a Name> {
    let soa = reply.soa.as_ref().filter(|soa| reply.authoritative && name.is_in(&soa.zone))?;
    Some(&soa.zone)
}

/// The zone cut that an answer refers to, below `at`, and the names of its servers.
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

impl Silence {
    /// Whether nothing can be said of the server from here.
    pub(super) fn is_no_route(&self) -> bool {
        matches!(self, Self::NoRoute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_simply() {
        let text =
            "# a comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver ::1 # x\nnameserver x\n";
        let found: Vec<String> = resolvers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53"]);
    }
}
