//! Lifecycle rules as data, in the format of the AWS command line.

use serde::{Deserialize, Serialize};

/// The rules of a bucket. Serializes as the argument of `aws s3api put-bucket-lifecycle-configuration
/// --lifecycle-configuration`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Lifecycle {
    /// The rules.
    pub rules: Vec<Rule>,
    /// The minimum size of objects for transitions, if the bucket sets one. It is kept when the rules are
    /// replaced; the AWS command line has a separate option for it.
    #[serde(skip)]
    pub transition_default_minimum_object_size: Option<String>,
}

/// A rule. A field that is absent has no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Rule {
    /// The id in the bucket.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `Enabled` or `Disabled`.
    pub status: String,
    /// The objects it applies to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The key prefix, in the older syntax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Time of deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<Expiration>,
    /// Times when objects change their storage class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// Time of deletion of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent_version_expiration: Option<NoncurrentExpiration>,
    /// Times when earlier versions change their storage class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noncurrent_version_transitions: Vec<NoncurrentTransition>,
    /// Time of removal of unfinished uploads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_incomplete_multipart_upload: Option<AbortUploads>,
}

/// The objects a rule applies to: one condition, or several in [`and`](Self::and).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Filter {
    /// Objects whose key starts with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Objects with this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Objects larger than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size_greater_than: Option<i64>,
    /// Objects smaller than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size_less_than: Option<i64>,
    /// Objects that meet all of these conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub and: Option<And>,
}

/// Several conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct And {
    /// Objects whose key starts with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Objects with all of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Objects larger than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size_greater_than: Option<i64>,
    /// Objects smaller than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size_less_than: Option<i64>,
}

/// A tag of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    /// The name.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Time of deletion of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Expiration {
    /// Days after creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i32>,
    /// Time from which on the rule acts, as in `2030-01-01T00:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// True if deletion markers without earlier versions are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_object_delete_marker: Option<bool>,
}

/// Time when objects change their storage class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Transition {
    /// Days after creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i32>,
    /// Time from which on the rule acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The new storage class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// Time of deletion of earlier versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NoncurrentExpiration {
    /// Days after a version was replaced or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent_days: Option<i32>,
    /// The number of newest versions that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_noncurrent_versions: Option<i32>,
}

/// Time when earlier versions change their storage class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NoncurrentTransition {
    /// Days after a version was replaced or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent_days: Option<i32>,
    /// The number of newest versions that stay unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_noncurrent_versions: Option<i32>,
    /// The new storage class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// Time of removal of unfinished uploads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AbortUploads {
    /// Days after the upload was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_after_initiation: Option<i32>,
}

impl Rule {
    /// Returns true if the bucket applies the rule.
    pub fn is_enabled(&self) -> bool {
        self.status == "Enabled"
    }

    /// Returns the prefix of the keys it applies to. Empty for all.
    pub fn key_prefix(&self) -> &str {
        let filter = self.filter.as_ref();
        let and = filter.and_then(|f| f.and.as_ref());
        let prefix = self.prefix.as_ref();
        let prefix =
            prefix.or(filter.and_then(|f| f.prefix.as_ref())).or(and.and_then(|a| a.prefix.as_ref()));
        prefix.map_or("", String::as_str)
    }

    /// Checks whether it applies only to objects with a tag. Objects of a repository have none.
    pub fn needs_a_tag(&self) -> bool {
        self.filter
            .as_ref()
            .is_some_and(|f| f.tag.is_some() || f.and.as_ref().is_some_and(|and| !and.tags.is_empty()))
    }

    /// Returns the id, or a placeholder for messages.
    pub fn name(&self) -> &str {
        self.id.as_deref().filter(|id| !id.is_empty()).unwrap_or("(without an id)")
    }
}
