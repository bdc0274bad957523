//! Responses of the name servers, and conclusions from them.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Change, Name, Observed, RecordKey, RecordSet};

/// The verdict on one server's answer for one record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It has the desired records.
    Agrees,
    /// It has other records.
    Differs {
        /// The records found.
        found: Vec<Observed>,
        /// The desired set; `None` if the set should not exist.
        wanted: Option<RecordSet>,
    },
    /// It has other records with the same meaning, as determined by [`by_meaning`](crate::check::by_meaning).
    Equivalent {
        /// The records found.
        found: Vec<Observed>,
    },
    /// It has records to which nothing can be added, such as two SPF records.
    Broken {
        /// The records found.
        found: Vec<Observed>,
        /// The problem with them.
        why: String,
    },
    /// It does not have the set.
    Missing {
        /// The desired set.
        wanted: RecordSet,
    },
    /// It did not answer; the reason.
    NoAnswer(String),
    /// This machine has no route to that address, for example because it has no IPv6.
    NoRoute,
    /// It refuses to answer, with this response code.
    Refused(String),
    /// It answers, but is not authoritative for the zone.
    Lame,
}

impl Verdict {
    /// Returns whether the server has the desired records.
    pub fn agrees(&self) -> bool {
        matches!(self, Self::Agrees | Self::Equivalent { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line = |text: String| text.replace('\n', " and ");
        match self {
            Self::Agrees => f.write_str("has it"),
            Self::Differs { found, wanted } => {
                let found: Vec<_> = found.iter().map(|o| one_line(o.to_string())).collect();
                write!(f, "has {}", found.join(" and "))?;
                match wanted {
                    Some(wanted) => write!(f, ", and should have {}", one_line(wanted.to_string())),
                    None => f.write_str(", and should have nothing"),
                }
            }
            Self::Equivalent { found } => {
                let found: Vec<_> = found.iter().map(|o| one_line(o.to_string())).collect();
                write!(f, "has {}, which means the same", found.join(" and "))
            }
            Self::Broken { found, why } => {
                let found: Vec<_> = found.iter().map(|o| one_line(o.to_string())).collect();
                write!(f, "has {}, which has to be corrected: {why}", found.join(" and "))
            }
            Self::Missing { wanted } => write!(f, "does not have {}", one_line(wanted.to_string())),
            Self::NoAnswer(why) => f.write_str(why),
            Self::NoRoute => f.write_str("this machine has no route to it"),
            Self::Refused(code) => write!(f, "refuses to answer ({code})"),
            Self::Lame => f.write_str("is not responsible for the zone"),
        }
    }
}

/// The result of one server for one record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyReport {
    /// The record set.
    pub key: RecordKey,
    /// The verdict.
    pub verdict: Verdict,
}

/// The result of one address of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerReport {
    /// The server's name, or its address if it was given by address.
    pub server: String,
    /// The queried address; `None` for a server whose name has no address.
    pub address: Option<SocketAddr>,
    /// The serial number of the zone there (RFC 1035, section 3.3.13).
    pub serial: Option<u32>,
    /// The results for each record set.
    pub keys: Vec<KeyReport>,
    /// Total response time, in milliseconds.
    pub millis: u64,
}

impl ServerReport {
    /// Returns whether it has all desired records.
    pub fn agrees(&self) -> bool {
        !self.keys.is_empty() && self.keys.iter().all(|k| k.verdict.agrees())
    }

    fn has_no_route(&self) -> bool {
        !self.keys.is_empty() && self.keys.iter().all(|k| k.verdict == Verdict::NoRoute)
    }
}

/// The results of all authoritative name servers of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The zone.
    pub zone: Name,
    /// The results of each address of each server.
    pub servers: Vec<ServerReport>,
    /// Maximum time in seconds for which a resolver may cache that a record set does not exist (RFC 2308), over all
    /// servers.
    pub negative_ttl: Option<u32>,
}

/// An outdated answer that resolvers may still give, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stale {
    /// The record set.
    pub key: RecordKey,
    /// The time after which no conforming resolver gives the old answer.
    pub until: SystemTime,
    /// The kind of outdated answer.
    pub reason: StaleReason,
}

/// The kind of an outdated answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StaleReason {
    /// The answer that the record set does not exist: the resolver asked before it was created.
    NotThere,
    /// The old values.
    OldValues,
}

impl Report {
    /// Returns whether every server has all desired records. An address to which this machine has no route counts like
    /// its server's other addresses; a missing response counts as no agreement.
    pub fn agrees(&self) -> bool {
        let answers = |server: &ServerReport| {
            let others = self.servers.iter().any(|o| o.server == server.server && o.agrees());
            server.agrees() || (server.has_no_route() && others)
        };
        !self.servers.is_empty() && self.servers.iter().all(answers)
    }

    /// Returns the number of addresses that have all desired records.
    pub fn agreeing(&self) -> usize {
        self.servers.iter().filter(|s| s.agrees()).count()
    }

    /// Returns every verdict other than agreement, with its server.
    pub fn problems(&self) -> impl Iterator<Item = (&ServerReport, &KeyReport)> {
        self.servers
            .iter()
            .flat_map(|s| s.keys.iter().map(move |k| (s, k)))
            .filter(|(_, k)| !k.verdict.agrees())
    }

    /// Returns the outdated answers that resolvers may still give after changes that all authoritative servers have had
    /// since `since`.
    pub fn stale_after(&self, changes: &[Change], since: SystemTime) -> Vec<Stale> {
        let stale = changes.iter().filter_map(|change| {
            let (seconds, reason) = match change.before() {
                Some(old) => (old.ttl().seconds(), StaleReason::OldValues),
                None => (self.negative_ttl?, StaleReason::NotThere),
            };
            let until = since + Duration::from_secs(seconds.into());
            Some(Stale { key: change.key().clone(), until, reason })
        });
        stale.collect()
    }
}

/// Formats one line for each server and each record set on which it does not agree.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for server in &self.servers {
            let address = server.address.map(|a| a.to_string()).filter(|a| *a != server.server);
            let address = address.map(|a| format!(" ({a})")).unwrap_or_default();
            if server.agrees() {
                writeln!(f, "{}{address}: has all {} record sets", server.server, server.keys.len())?;
                continue;
            }
            let mut problems: Vec<_> = server.keys.iter().filter(|k| !k.verdict.agrees()).collect();
            let whole_server = |v: &Verdict| {
                !matches!(v, Verdict::Differs { .. } | Verdict::Missing { .. } | Verdict::Broken { .. })
            };
            if problems.len() == server.keys.len() && problems.iter().all(|k| whole_server(&k.verdict)) {
                problems.truncate(1);
                writeln!(f, "{}{address}: {}", server.server, problems[0].verdict)?;
                continue;
            }
            for problem in problems {
                writeln!(f, "{}{address}: {}: {}", server.server, problem.key, problem.verdict)?;
            }
        }
        Ok(())
    }
}
