//! Senders, and the result of their evaluation.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::term::Qualifier;

/// The result of an evaluation (RFC 7208, section 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// The server may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// The domain makes no statement about it.
    Neutral,
    /// The domain has no SPF record.
    None,
    /// The lookup failed temporarily.
    TempError,
    /// The record is invalid.
    PermError,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::None => "none",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// A sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The address of the sending server.
    pub address: IpAddr,
    /// The mail address that is given as the sender, such as `postmaster@example.com`.
    pub mail_from: String,
    /// The greeting name of the server (HELO).
    pub helo: String,
}

/// An outcome with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// The outcome.
    pub outcome: Outcome,
    /// The record of the domain, as it was read.
    pub record: Option<String>,
    /// The term that matched, or the problem.
    pub reason: String,
    /// Number of terms that caused a lookup; more than [`MAX_LOOKUPS`](super::MAX_LOOKUPS) is a permanent error.
    pub lookups: usize,
}

impl From<Qualifier> for Outcome {
    fn from(qualifier: Qualifier) -> Self {
        match qualifier {
            Qualifier::Pass => Self::Pass,
            Qualifier::Fail => Self::Fail,
            Qualifier::SoftFail => Self::SoftFail,
            Qualifier::Neutral => Self::Neutral,
        }
    }
}
