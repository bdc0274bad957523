//! Results of the checks.

use std::fmt;

use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

/// The subject of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// Zones are found and read completely.
    Zones,
    /// Names are returned as they were written.
    Names,
    /// Values of every type are returned as they were written.
    Values,
    /// Texts are returned byte for byte.
    Texts,
    /// Record sets change as a whole.
    Sets,
    /// Correct sets are not written again.
    Idempotence,
    /// Nothing of others is lost.
    Safety,
    /// Batches, preconditions and receipts.
    Batches,
    /// After any fault, the zone is as reported.
    Faults,
    /// No more requests than needed.
    Budget,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The promise holds.
    Passed,
    /// The promise does not hold.
    Failed(String),
    /// The check was skipped: the provider does not support the feature, or the fixture lacks something.
    Skipped(String),
}

/// The results of all checks. Serializes with the totals first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The provider's short name.
    pub provider: String,
    /// The promise of each check, and its result.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Returns whether no check failed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Returns the failed checks, and the reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.outcomes.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Failed(why) => Some((*name, why.as_str())),
            _ => None,
        })
    }

    /// Returns the skipped checks, and the reasons.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.outcomes.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Skipped(why) => Some((*name, why.as_str())),
            _ => None,
        })
    }

    /// Returns the result of a check; `None` if it was not among them.
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|(n, _)| *n == name).map(|(_, outcome)| outcome)
    }

    /// Formats a line of a Markdown table: provider, passed, failed, skipped, and the distinct reasons for skipping.
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

    /// The header lines of the table for [`markdown`](Self::markdown).
    pub const HEADER: &'static str =
        "| provider | passed | failed | skipped | why skipped |\n|---|---|---|---|---|";
}

/// Formats one line for each check.
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
