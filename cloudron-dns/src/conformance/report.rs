//! How the checks went.

use std::fmt;

use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// Zones are found, and read whole.
    Zones,
    /// Names come back as they were written.
    Names,
    /// Values of every type come back as they were written.
    Values,
    /// Texts come back byte for byte.
    Texts,
    /// Record sets change as a whole.
    Sets,
    /// What is right already is not written again.
    Idempotence,
    /// Nothing of others is lost.
    Safety,
    /// Batches, preconditions and receipts.
    Batches,
    /// Whatever fails on the way, the zone is as the answer says.
    Faults,
    /// No more requests than needed.
    Budget,
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The promise holds.
    Passed,
    /// It does not.
    Failed(String),
    /// It was not checked: the provider says that it cannot do that, or the fixture lacks what is needed.
    Skipped(String),
}

/// How all checks went. Serialises with the sums in front.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The provider's short name.
    pub provider: String,
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

    /// The checks that were not made, and why.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.outcomes.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Skipped(why) => Some((*name, why.as_str())),
            _ => None,
        })
    }

    /// How a check went; `None` if it was not among them.
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|(n, _)| *n == name).map(|(_, outcome)| outcome)
    }

    /// A line of a Markdown table: provider, passed, failed, skipped, and why checks were skipped, each reason once.
    ///
    /// ```
    /// # use cloudron_dns::conformance::Report;
    /// assert_eq!(Report::HEADER.lines().count(), 2);
    /// ```
    pub fn markdown(&self) -> String {
        let (failed, skipped) = (self.failures().count(), self.skipped().count());
        let passed = self.outcomes.len() - failed - skipped;
        let mut reasons: Vec<&str> = self.skipped().map(|(_, why)| why).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let reasons = reasons.join("; ").replace('|', "\\|");
        format!("| `{}` | {passed} | {failed} | {skipped} | {reasons} |", self.provider)
    }

    /// The first two lines of the table that [`markdown`](Self::markdown) makes lines for.
    pub const HEADER: &'static str =
        "| provider | passed | failed | skipped | why skipped |\n|---|---|---|---|---|";
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

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (failed, skipped) = (self.failures().count(), self.skipped().count());
        let mut report = serializer.serialize_struct("Report", 5)?;
        report.serialize_field("provider", &self.provider)?;
        report.serialize_field("passed", &(self.outcomes.len() - failed - skipped))?;
        report.serialize_field("failed", &failed)?;
        report.serialize_field("skipped", &skipped)?;
        report.serialize_field("checks", &Checks(&self.outcomes))?;
        report.end()
    }
}

struct Checks<'a>(&'a [(&'static str, Outcome)]);

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut checks = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, outcome) in self.0 {
            let (word, why) = match outcome {
                Outcome::Passed => ("passed", None),
                Outcome::Failed(why) => ("failed", Some(why.as_str())),
                Outcome::Skipped(why) => ("skipped", Some(why.as_str())),
            };
            checks.serialize_element(&Check { name, level: super::level_of(name), outcome: word, why })?;
        }
        checks.end()
    }
}

#[derive(Serialize)]
struct Check<'a> {
    name: &'a str,
    level: Option<Level>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}
