//! Remarks in reports about single objects and backups.

use serde::Serialize;

/// An object or a backup that something is wrong with, or that counts for nothing. In JSON, it is an array of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "(String, String)")]
pub struct Issue {
    /// The key of the object, or the id of the backup.
    pub subject: String,
    /// The reason why it is listed, as text.
    pub reason: String,
}

impl Issue {
    pub(crate) fn new(subject: impl Into<String>, reason: impl ToString) -> Self {
        Self { subject: subject.into(), reason: reason.to_string() }
    }
}

impl From<Issue> for (String, String) {
    fn from(issue: Issue) -> Self {
        (issue.subject, issue.reason)
    }
}

/// A number before and after something was done. In JSON, it is an array of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(into = "(u64, u64)")]
pub struct BeforeAfter {
    /// The number before.
    pub before: u64,
    /// The number after.
    pub after: u64,
}

impl From<BeforeAfter> for (u64, u64) {
    fn from(count: BeforeAfter) -> Self {
        (count.before, count.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_json_they_are_arrays() {
        assert_eq!(
            serde_json::to_value(Issue::new("packs/a", "gone")).unwrap(),
            serde_json::json!(["packs/a", "gone"])
        );
        let count = BeforeAfter { before: 20, after: 1 };
        assert_eq!(serde_json::to_value(count).unwrap(), serde_json::json!([20, 1]));
    }
}
