//! Tags of resources of all kinds.

use serde::Deserialize;

use crate::ec2::action::listing;

listing! {
    /// Lists tags, by the filters `key`, `value`, `resource-id` and `resource-type`.
    DescribeTags {
    } => Tags.tags "tagSet": TagOf
}

/// A tag, and what has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagOf {
    /// The ID of the resource.
    pub resource_id: String,
    /// Its type: `instance`, `security-group`.
    #[serde(default)]
    pub resource_type: String,
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default)]
    pub value: String,
}
