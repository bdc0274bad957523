//! Results of checks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resolve::NotKnown;

/// The status of a checked property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is correct.
    Pass,
    /// No server answered, so the status is not known.
    Unknown,
    /// It works, but could be improved.
    Warn,
    /// It is wrong.
    Fail,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The check: `address`, `wildcard`, `caa`, `mx`, `spf`, `spf-helo`, `dkim`, `dmarc`, `mta-sts`, `tls-rpt`,
    /// `ptr` or `blocklist`.
    pub id: String,
    /// The checked object, such as a name or an address; empty if the check covers everything.
    pub subject: String,
    /// The status.
    pub status: Status,
    /// The observation that led to the status.
    pub evidence: String,
    /// The action to take; `None` if nothing is needed.
    pub fix: Option<String>,
}

pub(super) type Findings = Vec<Finding>;

/// Returns the names of the checks that failed, as a list; `None` when none did.
pub fn failed(findings: &[Finding]) -> Option<String> {
    let failed = findings.iter().filter(|finding| finding.status == Status::Fail);
    let mut ids: Vec<&str> = failed.map(|finding| finding.id.as_str()).collect();
    ids.dedup();
    (!ids.is_empty()).then(|| ids.join(", "))
}

impl Finding {
    fn new(id: &str, subject: impl ToString, status: Status, evidence: impl Into<String>) -> Self {
        Self { id: id.into(), subject: subject.to_string(), status, evidence: evidence.into(), fix: None }
    }

    pub(super) fn pass(id: &str, subject: impl ToString, evidence: impl Into<String>) -> Self {
        Self::new(id, subject, Status::Pass, evidence)
    }

    pub(super) fn warn(
        id: &str,
        subject: impl ToString,
        evidence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { fix: Some(fix.into()), ..Self::new(id, subject, Status::Warn, evidence) }
    }

    pub(super) fn fail(
        id: &str,
        subject: impl ToString,
        evidence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { fix: Some(fix.into()), ..Self::new(id, subject, Status::Fail, evidence) }
    }

    pub(super) fn unknown(id: &str, subject: impl ToString, evidence: impl Into<String>) -> Self {
        Self::new(id, subject, Status::Unknown, evidence)
    }

    pub(super) fn not_known(id: &str, subject: impl ToString, why: &NotKnown) -> Self {
        let fix = Some("check the network and the name servers, then try again".to_owned());
        Self { fix, ..Self::unknown(id, subject, format!("nobody answers: {why}")) }
    }
}

/// Formats one line, and a second one with the fix.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7}  {}", self.status, self.id)?;
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        write!(f, ": {}", self.evidence)?;
        match &self.fix {
            Some(fix) => write!(f, "\n         {fix}"),
            None => Ok(()),
        }
    }
}
