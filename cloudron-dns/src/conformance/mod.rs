//! Checks that every provider must pass, including providers of other crates.
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
//!
//! This is enough for two thirds of the checks. The others need optional methods of [`Fixture`]: an independent reader
//! ([`Truth`]), a wire that counts and fails ([`Wire`]), a second zone. A check that lacks something is
//! [skipped](Outcome::Skipped) with the reason, never passed.

mod hooks;
mod levels;
mod report;
mod trial;

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

pub use hooks::{Calls, Fault, Injection, Truth, Wire};
pub use report::{Level, Outcome, Report};
use trial::Trial;

use crate::{DnsProvider, Name, Result, Zone};

/// Provides a zone for each check.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Creates a provider with a zone that contains only its SOA and name servers, if those are listed at all.
    ///
    /// # Errors
    /// Any error of creating it; the check then counts as failed.
    async fn fresh(&self) -> Result<Place>;

    /// Prepares a used place for the next check. The default creates another one; if that is slow, the zone can be
    /// emptied instead. Everything that was injected into its wire must be removed.
    ///
    /// # Errors
    /// As [`fresh`](Self::fresh).
    async fn reset(&self, used: Place) -> Result<Place> {
        drop(used);
        self.fresh().await
    }

    /// Returns an independent reader of this place, which is the last one created.
    fn truth(&self, _place: &Place) -> Option<Arc<dyn Truth>> {
        None
    }

    /// Returns the wire of this place, which is the last one created.
    fn wire(&self, _place: &Place) -> Option<Arc<dyn Wire>> {
        None
    }

    /// Adds an empty zone of that name to the account of this place, which is the last one created. Returns `None` if
    /// that is not supported.
    ///
    /// # Errors
    /// Any error of creating it.
    async fn add_zone(&self, _place: &Place, _apex: &Name) -> Result<Option<Zone>> {
        Ok(None)
    }

    /// Returns the names of checks to skip, each with the reason.
    fn skip(&self) -> &[(&str, &str)] {
        &[]
    }
}

/// A provider, and the zone to work in.
pub struct Place {
    /// The provider.
    pub provider: Box<dyn DnsProvider>,
    /// The zone.
    pub zone: Zone,
}

/// Returns the promise and the subject of every check.
pub fn checks() -> impl Iterator<Item = (Level, &'static str)> {
    levels::ALL.iter().flat_map(|(level, cases)| cases.iter().map(|(name, _)| (*level, *name)))
}

fn level_of(name: &str) -> Option<Level> {
    checks().find(|(_, n)| *n == name).map(|(level, _)| level)
}

/// Runs all checks, one after the other, each in a fresh place.
pub async fn run(fixture: &dyn Fixture) -> Report {
    run_some(fixture, |_, _| true).await
}

/// Runs the checks that are chosen by subject and name.
pub async fn run_some(fixture: &dyn Fixture, chosen: impl Fn(Level, &str) -> bool) -> Report {
    let mut report = Report { provider: String::new(), outcomes: Vec::new() };
    let mut used = None;
    for (level, cases) in levels::ALL {
        for (name, check) in cases.iter().filter(|(name, _)| chosen(*level, name)) {
            let outcome = match fixture.skip().iter().find(|(n, _)| n == name) {
                Some((_, why)) => Outcome::Skipped((*why).to_owned()),
                None => run_one(fixture, check, &mut used, &mut report.provider).await,
            };
            report.outcomes.push((name, outcome));
        }
    }
    report
}

async fn run_one(
    fixture: &dyn Fixture,
    check: &Check,
    used: &mut Option<Place>,
    provider: &mut String,
) -> Outcome {
    let place = match used.take() {
        Some(place) => fixture.reset(place).await,
        None => fixture.fresh().await,
    };
    let place = match place {
        Ok(place) => place,
        Err(error) => return Outcome::Failed(format!("there is no place to work in: {error}")),
    };
    place.provider.id().clone_into(provider);
    let trial = Trial::new(fixture, &place);
    let outcome = check(&trial).await.err().unwrap_or(Outcome::Passed);
    drop(trial);
    *used = Some(place);
    outcome
}

type Done = Result<(), Outcome>;
type Check = for<'a> fn(&'a Trial<'a>) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>>;
type Cases = &'static [(&'static str, Check)];

/// Names checks by their functions.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(super) const CASES: $crate::conformance::Cases =
            &[$((stringify!($case), |trial| Box::pin($case(trial)))),*];
    };
}
use cases;

/// Converts an unexpected error of the provider to a failed check.
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

fn skipped(why: impl Into<String>) -> Done {
    Err(Outcome::Skipped(why.into()))
}
