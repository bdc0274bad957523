//! Choosing among the backups of several machines, and the tags that help with it.

use std::path::PathBuf;

use cloudron_core::{Error, Result};

use crate::codes;
use crate::format::summary::Summary;

/// The longest tag, in characters.
const MAX_TAG: usize = 64;
/// So many tags a backup has at most.
const MAX_TAGS: usize = 32;

/// Which backups are meant. The default is all of them; what is set must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotFilter {
    /// Those of the machine of that name.
    pub host: Option<String>,
    /// Those of the machine that served that domain.
    pub fqdn: Option<String>,
    /// Those that have all these tags.
    pub tags: Vec<String>,
    /// Those of which a source is this folder or holds it.
    pub path: Option<PathBuf>,
}

impl SnapshotFilter {
    /// All backups.
    pub fn all() -> Self {
        Self::default()
    }

    /// Of these, the backups of the machine of that name.
    pub fn of_host(self, host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..self }
    }

    /// Of these, the backups of the machine that served that domain.
    pub fn of_fqdn(self, fqdn: impl Into<String>) -> Self {
        Self { fqdn: Some(fqdn.into()), ..self }
    }

    /// Of these, the backups that have that tag as well.
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Of these, the backups of which a source is this folder or holds it.
    pub fn of_path(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// Whether a backup is meant.
    pub fn matches(&self, summary: &Summary) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        same(&self.host, &summary.host)
            && same(&self.fqdn, &summary.fqdn)
            && self.tags.iter().all(|tag| summary.tags.contains(tag))
            && self.path.as_ref().is_none_or(|p| summary.sources.iter().any(|s| p.starts_with(&s.path)))
    }
}

/// The tags as they are kept: sorted, each once.
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
