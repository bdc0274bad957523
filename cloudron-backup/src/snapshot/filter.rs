//! Filters for the backups of several machines, and tags.

use std::path::PathBuf;

use cloudron_core::{Error, Result};

use crate::codes;
use crate::format::summary::Summary;

/// The longest tag, in characters.
const MAX_TAG: usize = 64;
/// The maximum number of tags of a backup.
const MAX_TAGS: usize = 32;

/// A filter for backups. The default matches all; all fields that are set must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotFilter {
    /// The name of the machine.
    pub host: Option<String>,
    /// The domain that the machine served.
    pub fqdn: Option<String>,
    /// Tags that the backup must have.
    pub tags: Vec<String>,
    /// A path that must be a source or below one.
    pub path: Option<PathBuf>,
}

impl SnapshotFilter {
    /// Matches all backups.
    pub fn all() -> Self {
        Self::default()
    }

    /// Restricts the filter to the machine of this name.
    pub fn of_host(self, host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..self }
    }

    /// Restricts the filter to the machine that served this domain.
    pub fn of_fqdn(self, fqdn: impl Into<String>) -> Self {
        Self { fqdn: Some(fqdn.into()), ..self }
    }

    /// Restricts the filter to backups with this tag, in addition to others.
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Restricts the filter to backups with a source that is this path or contains it.
    pub fn of_path(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// Checks whether a backup matches.
    pub fn matches(&self, summary: &Summary) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        same(&self.host, &summary.host)
            && same(&self.fqdn, &summary.fqdn)
            && self.tags.iter().all(|tag| summary.tags.contains(tag))
            && self.path.as_ref().is_none_or(|p| summary.sources.iter().any(|s| p.starts_with(&s.path)))
    }
}

/// Returns the tags sorted and without duplicates.
///
/// # Errors
/// `backup-tag-invalid`.
pub(crate) fn check_tags(tags: &[String]) -> Result<Vec<String>> {
    let invalid = |text: String| Err(Error::new(&codes::TAG_INVALID, text));
    for tag in tags {
        let odd = tag.chars().any(|c| c.is_control() || c == ',') || tag.trim() != tag;
        if tag.is_empty() || odd || tag.chars().count() > MAX_TAG {
            return invalid(format!("{tag:?} cannot be a tag"));
        }
    }
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > MAX_TAGS {
        return invalid(format!("{} tags are more than the {MAX_TAGS} that a backup may have", tags.len()));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_short_and_can_be_written_in_a_list() {
        for bad in ["", "a,b", "line\nbreak", " blank", "blank ", &"x".repeat(65)] {
            assert!(check_tags(&[bad.to_owned()]).unwrap_err().is(&codes::TAG_INVALID), "{bad:?}");
        }
        let given = ["weekly", "vor dem Umzug", "weekly"].map(str::to_owned);
        assert_eq!(check_tags(&given).unwrap(), ["vor dem Umzug", "weekly"]);
        let many: Vec<String> = (0..33).map(|i| i.to_string()).collect();
        assert!(check_tags(&many).is_err());
    }
}
