//! Finds harmful lifecycle rules, and merges the safe ones into those of a bucket.

use std::fmt;

use cloudron_core::{Error, Result};
use serde::Serialize;

use super::SafeDays;
use super::rule::{AbortUploads, Expiration, Filter, Lifecycle, NoncurrentExpiration, Rule};
use crate::{codes, layout};

/// The prefix of the ids of our rules.
const OURS: &str = "cloudron-backup";

/// The storage classes whose objects must be restored before they can be read.
pub(crate) const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// A rule that harms a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Danger {
    /// The id of the rule.
    pub rule: String,
    /// The prefix of the keys it applies to. Empty for the whole bucket.
    pub prefix: String,
    /// The harm it does.
    pub harm: Harm,
    /// The time it acts, as in `30 days after they were written`.
    pub when: String,
}

/// The harm that a rule does to a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// The rule deletes objects that backups need, however new the backups are.
    Deletes,
    /// The rule moves objects that every backup and every listing must read to this class.
    ArchivesIndex(String),
    /// The rule moves only packs to this class: backups still work, and a restore must request the packs and wait.
    ArchivesPacks(String),
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.prefix.as_str() {
            "" => "of the whole bucket".to_owned(),
            prefix => format!("below {prefix}"),
        };
        let (rule, when) = (&self.rule, &self.when);
        match &self.harm {
            Harm::Deletes => write!(f, "the rule {rule} deletes objects {place} {when}"),
            Harm::ArchivesIndex(class) | Harm::ArchivesPacks(class) => {
                write!(f, "the rule {rule} moves objects {place} to {class} {when}")
            }
        }
    }
}

/// Returns the rules that harm a repository whose keys start with `prefix` (empty, or ending in `/`).
pub fn dangers(lifecycle: &Lifecycle, prefix: &str) -> Vec<Danger> {
    lifecycle.rules.iter().flat_map(|rule| dangers_of(rule, prefix)).collect()
}

fn dangers_of(rule: &Rule, prefix: &str) -> Vec<Danger> {
    let of = rule.key_prefix();
    let touches = of.starts_with(prefix) || prefix.starts_with(of);
    if !rule.is_enabled() || rule.needs_a_tag() || !touches {
        return Vec::new();
    }
    let danger = |harm, days: Option<i32>, date: Option<&String>| Danger {
        rule: rule.name().to_owned(),
        prefix: of.to_owned(),
        harm,
        when: match (days, date) {
            (_, Some(date)) => format!("from {date} on"),
            (days, None) => format!("{} days after they were written", days.unwrap_or(0)),
        },
    };
    let mut found = Vec::new();
    if let Some(e) = rule.expiration.as_ref().filter(|e| e.days.is_some() || e.date.is_some()) {
        found.push(danger(Harm::Deletes, e.days, e.date.as_ref()));
    }
    let only_packs = of.starts_with(&format!("{prefix}{}", layout::PACKS));
    for t in &rule.transitions {
        let class = t.storage_class.clone().unwrap_or_default();
        if ARCHIVES.contains(&class.as_str()) {
            let harm = if only_packs { Harm::ArchivesPacks(class) } else { Harm::ArchivesIndex(class) };
            found.push(danger(harm, t.days, t.date.as_ref()));
        }
    }
    found
}

/// Refuses a store whose rules delete what a repository needs.
///
/// # Errors
/// `store-expires`, naming the first such rule.
pub fn refuse(lifecycle: &Lifecycle, prefix: &str, url: &str) -> Result<()> {
    let Some(danger) = dangers(lifecycle, prefix).into_iter().find(|d| d.harm == Harm::Deletes) else {
        return Ok(());
    };
    let text = format!(
        "{url}: {danger}, and a pack stays part of new backups for as long as the files in it do not change"
    );
    Err(Error::new(&codes::STORE_EXPIRES, text).with_detail("rule", danger.rule).with_detail("store", url))
}

/// Returns the safe rules for a repository whose keys start with `prefix`: they remove only what no backup needs.
pub fn safe_rules(prefix: &str, days: SafeDays) -> Vec<Rule> {
    let rule = |what: &str| Rule {
        id: Some(id(what, prefix)),
        status: "Enabled".to_owned(),
        filter: Some(Filter { prefix: Some(prefix.to_owned()), ..Filter::default() }),
        ..Rule::default()
    };
    let uploads = AbortUploads { days_after_initiation: Some(days.unfinished_uploads.max(1)) };
    let versions =
        NoncurrentExpiration { noncurrent_days: Some(days.earlier_versions.max(1)), ..Default::default() };
    let marks = Expiration { expired_object_delete_marker: Some(true), ..Expiration::default() };
    vec![
        Rule { abort_incomplete_multipart_upload: Some(uploads), ..rule("unfinished-uploads") },
        Rule {
            noncurrent_version_expiration: Some(versions),
            expiration: Some(marks),
            ..rule("earlier-versions")
        },
    ]
}

/// Returns the id of a rule. An id has at most 255 characters, and one bucket may hold several repositories.
fn id(what: &str, prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => format!("{OURS}:{what}"),
        prefix if prefix.len() <= 200 => format!("{OURS}:{what}:{prefix}"),
        prefix => format!("{OURS}:{what}:{}", &layout::object_id(prefix.as_bytes())[..32]),
    }
}

/// Merges our rules into those of a bucket: replaces the rules with the same ids, and appends the others.
pub fn merge(there: &Lifecycle, ours: &[Rule]) -> Lifecycle {
    let mut merged = there.clone();
    for rule in ours {
        match merged.rules.iter_mut().find(|r| r.id.is_some() && r.id == rule.id) {
            Some(old) => old.clone_from(rule),
            None => merged.rules.push(rule.clone()),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Lifecycle {
        serde_json::from_str(text).unwrap()
    }

    /// The rule that selfhosting.md recommends for archives that are each complete.
    const BY_AGE: &str = r#"{"Rules": [{"ID": "keep 90 days", "Status": "Enabled", "Filter": {"Prefix": "backup/"},
        "Expiration": {"Days": 90}, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}]}"#;

    #[test]
    fn a_rule_that_deletes_by_age_is_refused_by_its_name() {
        let error = refuse(&parse(BY_AGE), "backup/site/", "s3://b/backup/site").unwrap_err();
        assert!(error.is(&codes::STORE_EXPIRES));
        assert!(error.to_string().contains("the rule keep 90 days deletes objects below backup/ 90 days"));
        assert_eq!(
            (error.detail("rule"), error.detail("store")),
            (Some("keep 90 days"), Some("s3://b/backup/site"))
        );
    }

    #[test]
    fn a_rule_is_dangerous_when_it_touches_any_of_our_keys() {
        let deletes = |prefix: &str| !dangers(&parse(BY_AGE), prefix).is_empty();
        assert!(deletes("backup/") && deletes("") && deletes("backup/a/"));
        assert!(!deletes("backups/") && !deletes("other/"));
    }

    #[test]
    fn rules_that_are_off_or_need_a_tag_or_only_clean_up_are_fine() {
        for rule in [
            r#"{"ID": "x", "Status": "Disabled", "Expiration": {"Days": 1}}"#,
            r#"{"Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 1}}"#,
            r#"{"Status": "Enabled", "Filter": {"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]}},
                "Expiration": {"Days": 1}}"#,
            r#"{"Status": "Enabled", "Expiration": {"ExpiredObjectDeleteMarker": true}}"#,
            r#"{"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 3}}"#,
            r#"{"Status": "Enabled", "Transitions": [{"Days": 0, "StorageClass": "GLACIER_IR"}]}"#,
        ] {
            let lifecycle = parse(&format!(r#"{{"Rules": [{rule}]}}"#));
            assert_eq!(dangers(&lifecycle, "p/"), Vec::new(), "{rule}");
        }
        let sized = r#"{"Rules": [{"Status": "Enabled", "Expiration": {"Date": "2030-01-01T00:00:00Z"},
            "Filter": {"And": {"Prefix": "p/", "ObjectSizeGreaterThan": 5}}}]}"#;
        assert_eq!(dangers(&parse(sized), "p/")[0].when, "from 2030-01-01T00:00:00Z on");
    }

    #[test]
    fn only_packs_may_be_archived() {
        let archive = |prefix: &str| {
            let text = format!(
                r#"{{"Rules": [{{"ID": "cold", "Status": "Enabled", "Prefix": "{prefix}",
                "Transitions": [{{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}}]}}]}}"#
            );
            dangers(&parse(&text), "p/").remove(0).harm
        };
        assert_eq!(archive("p/packs/"), Harm::ArchivesPacks("DEEP_ARCHIVE".to_owned()));
        assert_eq!(archive("p/"), Harm::ArchivesIndex("DEEP_ARCHIVE".to_owned()));
        assert!(refuse(&parse(r#"{"Rules": []}"#), "p/", "s3://b/p").is_ok());
    }

    #[test]
    fn ours_are_safe_and_merge_beside_the_rules_of_others() {
        let mut there = parse(BY_AGE);
        there.transition_default_minimum_object_size = Some("varies_by_storage_class".to_owned());
        let ours = safe_rules("backup/", SafeDays::default());
        assert_eq!(
            dangers(&Lifecycle { rules: ours.clone(), ..Lifecycle::default() }, "backup/"),
            Vec::new()
        );
        let once = merge(&there, &ours);
        assert_eq!(once.rules[0], there.rules[0]);
        assert_eq!(once.transition_default_minimum_object_size, there.transition_default_minimum_object_size);
        assert_eq!(once.rules.len(), 3);
        assert_eq!(merge(&once, &ours), once, "a second time changes nothing");
        let changed = SafeDays { unfinished_uploads: 1, earlier_versions: 90 };
        let again = merge(&once, &safe_rules("backup/", changed));
        assert_eq!(again.rules.len(), 3, "ours are recognised by their ids");
        assert_eq!(
            merge(&again, &safe_rules("other/", changed)).rules.len(),
            5,
            "each repository has its own"
        );
    }

    #[test]
    fn rules_are_written_as_amazons_tools_take_them() {
        let lifecycle = Lifecycle { rules: safe_rules("p/", SafeDays::default()), ..Lifecycle::default() };
        let expected = serde_json::json!({"Rules": [
            {"ID": "cloudron-backup:unfinished-uploads:p", "Status": "Enabled", "Filter": {"Prefix": "p/"},
             "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
            {"ID": "cloudron-backup:earlier-versions:p", "Status": "Enabled", "Filter": {"Prefix": "p/"},
             "Expiration": {"ExpiredObjectDeleteMarker": true},
             "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}]});
        assert_eq!(serde_json::to_value(&lifecycle).unwrap(), expected);
    }
}
