//! What the name servers answered, and what follows from it.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Change, Name, Observed, RecordKey, RecordSet};

/// What one server says of one record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It has what is wanted.
    Agrees,
    /// It has something else.
    Differs {
        /// What it has.
        found: Vec<Observed>,
        /// What is wanted; nothing if the set should be gone.
        wanted: Option<RecordSet>,
    },
    /// It has something else that means the same, as [`by_meaning`](crate::check::by_meaning) finds.
    Equivalent {
        /// What it has.
        found: Vec<Observed>,
    },
    /// It has what nothing can be added to, such as two SPF records.
    Broken {
        /// What it has.
        found: Vec<Observed>,
        /// What is wrong with it.
        why: String,
    },
    /// It does not have the set.
    Missing {
        /// What is wanted.
        wanted: RecordSet,
    },
    /// It did not answer.
    NoAnswer(String),
    /// This machine has no route to that address, as when it has no IPv6.
    NoRoute,
    /// It refuses to answer, with this response code.
    Refused(String),
    /// It answers, and not as one that is responsible for the zone.
    Lame,
}

impl Verdict {
    /// Whether the server has what is wanted.
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

/// What one server says of one record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyReport {
    /// The record set.
    pub key: RecordKey,
    /// What the server says of it.
    pub verdict: Verdict,
}

/// What one address of one server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerReport {
    /// The server's name, or its address where it was given by address.
    pub server: String,
    /// The address that was asked; `None` for a server whose name has no address.
    pub address: Option<SocketAddr>,
    /// The serial number of the zone there (RFC 1035, section 3.3.13).
    pub serial: Option<u32>,
    /// What it says of each record set.
    pub keys: Vec<KeyReport>,
    /// How long it took to answer everything, in milliseconds.
    pub millis: u64,
}

impl ServerReport {
    /// Whether it has everything that is wanted.
    pub fn agrees(&self) -> bool {
        !self.keys.is_empty() && self.keys.iter().all(|k| k.verdict.agrees())
    }

    fn has_no_route(&self) -> bool {
        !self.keys.is_empty() && self.keys.iter().all(|k| k.verdict == Verdict::NoRoute)
    }
}

/// What all authoritative name servers of a zone say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The zone.
    pub zone: Name,
    /// Each address of each server.
    pub servers: Vec<ServerReport>,
    /// For how many seconds a resolver may remember that a record set was not there (RFC 2308): the longest time
    /// that any server gives.
    pub negative_ttl: Option<u32>,
}

/// What a resolver somewhere may still answer, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stale {
    /// The record set.
    pub key: RecordKey,
    /// No resolver that keeps to the rules answers with the old state after this.
    pub until: SystemTime,
    /// What it may answer.
    pub reason: StaleReason,
}

/// What a resolver may still answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StaleReason {
    /// That there is no such record set: it asked before there was.
    NotThere,
    /// The old values.
    OldValues,
}

impl Report {
    /// Whether every server has everything that is wanted. An address that this machine has no route to counts as
    /// its server's other addresses do; an answer that did not come counts as none.
    pub fn agrees(&self) -> bool {
        let answers = |server: &ServerReport| {
            let others = self.servers.iter().any(|o| o.server == server.server && o.agrees());
            server.agrees() || (server.has_no_route() && others)
        };
        !self.servers.is_empty() && self.servers.iter().all(answers)
    }

    /// How many addresses have everything that is wanted.
    pub fn agreeing(&self) -> usize {
        self.servers.iter().filter(|s| s.agrees()).count()
    }

    /// Every verdict that is no agreement, with its server.
    pub fn problems(&self) -> impl Iterator<Item = (&ServerReport, &KeyReport)> {
        self.servers
            .iter()
            .flat_map(|s| s.keys.iter().map(move |k| (s, k)))
            .filter(|(_, k)| !k.verdict.agrees())
    }

    /// What resolvers may still answer after changes that all authoritative servers have had since `since`.
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

/// One line for each server and each record set that it does not agree on.
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
