//! Resolvers for checks: a recursive resolver, or the authoritative servers themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use tokio::time::Instant;

use super::ask::ask;
use super::wire::{Question, Reply};
use super::{Authority, Lookup};
use crate::resolve::{Answer, Resolve};
use crate::{Name, RecordData, RecordType};

const MAX_ALIASES: usize = 8;

/// A resolver that sends queries over the network. It uses the operating system's resolver only if it was created from
/// [`Lookup::system`], and then only for the servers of the root.
#[derive(Debug)]
pub struct Resolver {
    source: Source,
    query_timeout: Duration,
    limit: Duration,
    /// The name servers of zones that were queried before.
    zones: Mutex<BTreeMap<Name, Authority>>,
}

#[derive(Debug)]
enum Source {
    Recursive(Vec<SocketAddr>),
    Authoritative(Lookup),
}

impl Resolver {
    /// Queries recursive resolvers, one after the other until one answers.
    pub fn recursive(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::of(Source::Recursive(servers.into_iter().collect()), Duration::from_secs(3))
    }

    /// Queries the authoritative servers of each name, found through the lookup. Outdated caches are not seen.
    pub fn authoritative(lookup: Lookup) -> Self {
        let query_timeout = lookup.query_timeout;
        Self::of(Source::Authoritative(lookup), query_timeout)
    }

    fn of(source: Source, query_timeout: Duration) -> Self {
        Self { source, query_timeout, limit: Duration::from_secs(10), zones: Mutex::default() }
    }

    /// Sets other limits than 3 seconds (5 for authoritative servers) for each query to a server, and 10 for each
    /// answer.
    pub fn with_limits(self, query_timeout: Duration, limit: Duration) -> Self {
        Self { query_timeout, limit, ..self }
    }

    /// Queries one server after the other until one gives an answer.
    async fn first(
        &self,
        servers: impl Iterator<Item = SocketAddr>,
        question: &Question,
        deadline: Instant,
    ) -> Result<Reply, String> {
        let mut why = Vec::new();
        for server in servers {
            match ask(server, question, self.query_timeout, deadline).await {
                Err(silence) => why.push(format!("{server}: {silence}")),
                Ok(reply) => match reply.code {
                    ResponseCode::NoError | ResponseCode::NXDomain if knows(&reply, question.recursive) => {
                        return Ok(reply);
                    }
                    ResponseCode::NoError | ResponseCode::NXDomain => {
                        why.push(format!("{server} does not answer for that name"));
                    }
                    code => why.push(format!("{server}: {code}")),
                },
            }
        }
        Err(if why.is_empty() { "there is no server to ask".into() } else { why.join("; ") })
    }

    async fn recursively(
        &self,
        servers: &[SocketAddr],
        name: &Name,
        rtype: RecordType,
        deadline: Instant,
    ) -> Answer {
        let question = Question { name: name.clone(), rtype, recursive: true };
        match self.first(servers.iter().copied(), &question, deadline).await {
            Err(why) => Answer::Unknown(why),
            Ok(reply) => match step(&reply, name, rtype) {
                Step::Done(values, at) => found(values, at, name),
                Step::Ends(_) if reply.code == ResponseCode::NXDomain => Answer::NoSuchName,
                Step::Ends(_) => Answer::NoSuchSet,
            },
        }
    }

    async fn authoritatively(
        &self,
        lookup: &Lookup,
        name: &Name,
        rtype: RecordType,
        deadline: Instant,
    ) -> Answer {
        let mut at = name.clone();
        for _ in 0..MAX_ALIASES {
            let reply = match self.authoritative_reply(lookup, &at, rtype, deadline).await {
                Ok(reply) => reply,
                Err(why) => return Answer::Unknown(why),
            };
            match step(&reply, &at, rtype) {
                Step::Done(values, end) => return found(values, end, name),
                Step::Ends(end) if end != at => at = end,
                Step::Ends(_) if reply.code == ResponseCode::NXDomain => return Answer::NoSuchName,
                Step::Ends(_) => return Answer::NoSuchSet,
            }
        }
        Answer::Unknown(format!("more than {MAX_ALIASES} aliases follow each other"))
    }

    async fn authoritative_reply(
        &self,
        lookup: &Lookup,
        name: &Name,
        rtype: RecordType,
        deadline: Instant,
    ) -> Result<Reply, String> {
        let question = Question { name: name.clone(), rtype, recursive: false };
        if let Some(authority) = self.known(name) {
            // Servers of a parent zone refer to the right servers; then the walk finds them.
            if let Ok(reply) = self.first(addresses(&authority), &question, deadline).await {
                return Ok(reply);
            }
        }
        let authority = lookup.authority_until(name, deadline).await.map_err(|e| e.to_string())?;
        let reply = self.first(addresses(&authority), &question, deadline).await?;
        if let Ok(mut zones) = self.zones.lock() {
            zones.insert(authority.zone.clone(), authority);
        }
        Ok(reply)
    }

    fn known(&self, name: &Name) -> Option<Authority> {
        let zones = self.zones.lock().ok()?;
        let enclosing = zones.values().filter(|authority| name.is_in(&authority.zone));
        enclosing.max_by_key(|authority| authority.zone.labels().count()).cloned()
    }
}

#[async_trait]
impl Resolve for Resolver {
    async fn resolve(&self, name: &Name, rtype: RecordType) -> Answer {
        let deadline = Instant::now() + self.limit;
        match &self.source {
            Source::Recursive(servers) => self.recursively(servers, name, rtype, deadline).await,
            Source::Authoritative(lookup) => self.authoritatively(lookup, name, rtype, deadline).await,
        }
    }
}

fn addresses(authority: &Authority) -> impl Iterator<Item = SocketAddr> + '_ {
    authority.servers.iter().flat_map(|server| server.addresses.iter().copied())
}

/// Returns whether a response is conclusive. A referral, or the response of a server that is not authoritative, is not:
/// it must not be taken for "does not exist".
fn knows(reply: &Reply, recursive: bool) -> bool {
    reply.authoritative || (recursive && reply.recursion_available)
}

enum Step {
    /// The values, and the name that has them.
    Done(Vec<RecordData>, Name),
    /// There are no values; the name at which the aliases in the response end.
    Ends(Name),
}

fn step(reply: &Reply, name: &Name, rtype: RecordType) -> Step {
    let mut at = name.clone();
    for _ in 0..=MAX_ALIASES {
        let here = || reply.answers.iter().filter(|record| record.name == at);
        let values: Vec<_> =
            here().filter(|r| r.data.record_type() == rtype).map(|r| r.data.clone()).collect();
        if !values.is_empty() {
            return Step::Done(values, at);
        }
        let target = here().find_map(|record| match &record.data {
            RecordData::Cname(target) => Some(target.clone()),
            _ => None,
        });
        match target {
            Some(target) => at = target,
            None => break,
        }
    }
    Step::Ends(at)
}

fn found(values: Vec<RecordData>, at: Name, name: &Name) -> Answer {
    Answer::Found { values, alias_of: (at != *name).then_some(at) }
}
