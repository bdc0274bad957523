//! What somebody should know about a machine.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Something about a machine that its owner should know, with what to do about it. It is no error: the work went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// A stable name, in lower case with hyphens.
    pub code: Cow<'static, str>,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// What to do: a sentence, or a command on the machine.
    pub remedy: String,
}

impl Finding {
    /// Creates a finding.
    pub(crate) fn new(
        code: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { code: code.into(), what: what.into(), why: why.into(), remedy: remedy.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {} {}", self.what, self.code, self.why, self.remedy)
    }
}
