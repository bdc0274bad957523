//! The checks that every provider must pass, ours or another's.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use cloudron_dns::conformance::{Fixture, Place, run};
//! use cloudron_dns::memory::MemoryProvider;
//! use cloudron_dns::{Name, Result, Zone};
//!
//! struct Memory;
//!
//! #[async_trait::async_trait]
//! impl Fixture for Memory {
//!     async fn fresh(&self) -> Result<Place> {
//!         let zone = Zone::new("1", Name::parse("example.com")?);
//!         let provider = MemoryProvider::new().with_zone(zone.clone(), []);
//!         Ok(Place { provider: Box::new(provider), zone })
//!     }
//! }
//!
//! let report = run(&Memory).await;
//! assert!(report.passed(), "{report}");
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

mod records;
mod rules;

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;

use crate::{DnsProvider, Name, Observed, RecordSet, RecordType, Result, Scope, Snapshot, Ttl, Zone};

/// Gives each check a place to work in.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A provider with a zone that holds nothing but its SOA and name servers, if those are listed at all.
    ///
    /// # Errors
    /// Whatever keeps it from being made; the check then counts as failed.
    async fn fresh(&self) -> Result<Place>;
}

/// A provider, and the zone to work in.
pub struct Place {
    /// The provider.
    pub provider: Box<dyn DnsProvider>,
    /// The zone.
    pub zone: Zone,
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The promise holds.
    Passed,
    /// It does not.
    Failed(String),
    /// The provider says that it cannot do that.
    Skipped(String),
}

/// How all checks went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The promise that each check is about, and how it went.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The checks that failed, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.outcomes.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Failed(why) => Some((*name, why.as_str())),
            _ => None,
        })
    }
}

/// One line for each check.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.outcomes {
            match outcome {
                Outcome::Passed => writeln!(f, "passed   {name}")?,
                Outcome::Failed(why) => writeln!(f, "FAILED   {name}: {why}")?,
                Outcome::Skipped(why) => writeln!(f, "skipped  {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Runs all checks, one after the other, each in a fresh place.
pub async fn run(fixture: &dyn Fixture) -> Report {
    let mut outcomes = Vec::new();
    for (name, check) in records::CASES.iter().chain(rules::CASES) {
        let outcome = match fixture.fresh().await {
            Ok(place) => check(&place).await.err().unwrap_or(Outcome::Passed),
            Err(error) => Outcome::Failed(format!("there is no place to work in: {error}")),
        };
        outcomes.push((*name, outcome));
    }
    Report { outcomes }
}

type Done = Result<(), Outcome>;
type Check = for<'a> fn(&'a Place) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

/// Names checks by the functions that make them.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(super) const CASES: &[(&str, super::Check)] = &[$((stringify!($case), |place| Box::pin($case(place)))),*];
    };
}
use cases;

/// An error of the provider, where none may be, fails the check.
impl From<crate::Error> for Outcome {
    fn from(error: crate::Error) -> Self {
        Self::Failed(format!("{error:?}"))
    }
}

impl From<crate::ApplyFailure> for Outcome {
    fn from(failure: crate::ApplyFailure) -> Self {
        failure.error.into()
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Done {
    if holds { Ok(()) } else { Err(Outcome::Failed(why())) }
}

impl Place {
    fn name(&self, relative: &str) -> Result<Name> {
        if relative == "@" { Ok(self.zone.apex.clone()) } else { self.zone.apex.below(relative) }
    }

    fn set(&self, relative: &str, rtype: RecordType, values: &[&str]) -> Result<RecordSet> {
        // Long enough for every provider.
        let ttl = Ttl::new(3600)?;
        RecordSet::parse(self.name(relative)?, ttl, rtype, values.iter().copied())
    }

    fn needs(&self, rtype: RecordType) -> Done {
        match self.provider.capabilities().types {
            Some(types) if !types.contains(&rtype) => {
                Err(Outcome::Skipped(format!("it has no {rtype} records")))
            }
            _ => Ok(()),
        }
    }

    async fn read(&self, names: &[Name]) -> Result<Snapshot> {
        self.provider.read(&self.zone, Scope::Names(names)).await
    }

    /// That the zone holds exactly these sets at their names, by the provider's own answer.
    async fn holds(&self, name: &Name, sets: &[&RecordSet]) -> Done {
        let read = self.read(std::slice::from_ref(name)).await?;
        let found: Vec<&RecordSet> = read.at(name).filter_map(Observed::plain).collect();
        let ours = |set: &&&RecordSet| !(*name == self.zone.apex && set.rtype() == RecordType::NS);
        let found: Vec<&RecordSet> =
            found.iter().filter(ours).filter(|s| s.rtype() != RecordType::SOA).copied().collect();
        let mut wanted = sets.to_vec();
        wanted.sort_by(|a, b| a.key().cmp(b.key()));
        let text =
            |sets: &[&RecordSet]| sets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        ensure(found == wanted, || format!("it holds [{}] instead of [{}]", text(&found), text(&wanted)))
    }
}
