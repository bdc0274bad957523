//! Lifecycle rules as data, in the shape in which Amazon's tools write them.

use serde::{Deserialize, Serialize};

/// The rules of a bucket, which serializes as what
/// `aws s3api put-bucket-lifecycle-configuration --lifecycle-configuration` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Lifecycle {
    /// The rules.
    pub rules: Vec<Rule>,
    /// From what size on objects change class, where the bucket says so. It is kept when the rules are
    /// replaced; Amazon's tools take it as an option of its own.
    #[serde(skip)]
    pub transition_default_minimum_object_size: Option<String>,
}

/// A rule. What is not there does not happen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Rule {
    /// Its id in the bucket.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `Enabled` or `Disabled`.
    pub status: String,
    /// Which objects it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The same in the older way of writing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// When objects are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<Expiration>,
    /// When objects change class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// When earlier versions are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent_version_expiration: Option<NoncurrentExpiration>,
    /// When earlier versions change class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noncurrent_version_transitions: Vec<NoncurrentTransition>,
    /// When unfinished uploads are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_incomplete_multipart_upload: Option<AbortUploads>,
}

/// Which objects a rule is for: one condition, or several in [`and`](Self::and).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Filter {
    /// Those whose key starts with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Those with this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Those larger than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size_greater_than: Option<i64>,
    /// Those smaller than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size_less_than: Option<i64>,
    /// Those that meet all of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub and: Option<And>,
}

/// Several conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct And {
    /// Those whose key starts with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Those with all of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Those larger than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size_greater_than: Option<i64>,
    /// Those smaller than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size_less_than: Option<i64>,
}

/// A tag of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// When objects are deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Expiration {
    /// So many days after they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i32>,
    /// From this time on, as in `2030-01-01T00:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Whether marks of deletion go that have no earlier version behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_object_delete_marker: Option<bool>,
}

/// When objects change class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Transition {
    /// So many days after they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i32>,
    /// From this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The class they get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// When earlier versions are deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NoncurrentExpiration {
    /// So many days after they were replaced or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent_days: Option<i32>,
    /// So many of the newest are kept all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_noncurrent_versions: Option<i32>,
}

/// When earlier versions change class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NoncurrentTransition {
    /// So many days after they were replaced or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent_days: Option<i32>,
    /// So many of the newest stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_noncurrent_versions: Option<i32>,
    /// The class they get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// When unfinished uploads are removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AbortUploads {
    /// So many days after they were begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_after_initiation: Option<i32>,
}

impl Rule {
    /// Whether the bucket acts on it.
    pub fn is_enabled(&self) -> bool {
        self.status == "Enabled"
    }

    /// What the keys start with that it is for. Empty for all.
    pub fn key_prefix(&self) -> &str {
        let filter = self.filter.as_ref();
        let and = filter.and_then(|f| f.and.as_ref());
        let prefix = self.prefix.as_ref();
        let prefix =
            prefix.or(filter.and_then(|f| f.prefix.as_ref())).or(and.and_then(|a| a.prefix.as_ref()));
        prefix.map_or("", String::as_str)
    }

    /// Whether it is only for objects that have a tag, which those of a repository do not.
    pub fn needs_a_tag(&self) -> bool {
        self.filter
            .as_ref()
            .is_some_and(|f| f.tag.is_some() || f.and.as_ref().is_some_and(|and| !and.tags.is_empty()))
    }

    /// Its id, or what stands for one in messages.
    pub fn name(&self) -> &str {
        self.id.as_deref().filter(|id| !id.is_empty()).unwrap_or("(without an id)")
    }
}
