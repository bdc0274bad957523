//! Parts of several messages.

use serde::{Deserialize, Serialize};

/// A list in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Set<T> {
    /// The entries.
    #[serde(default = "Vec::new")]
    pub item: Vec<T>,
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

impl<T> std::ops::Deref for Set<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.item
    }
}

impl<'a, T> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.item.iter()
    }
}

/// A filter: the property has one of these values. `*` and `?` in a value stand for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Filter {
    /// The property, such as `vpc-id` or `tag:Name`.
    pub name: String,
    /// The values.
    #[serde(rename = "Value")]
    pub values: Vec<String>,
}

impl Filter {
    /// A filter with one value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), values: vec![value.into()] }
    }

    /// A filter with several values.
    pub fn any<V: Into<String>>(name: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self { name: name.into(), values: values.into_iter().map(Into::into).collect() }
    }
}

/// A tag of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The key.
    #[serde(rename(serialize = "Key"), alias = "key")]
    pub key: String,
    /// The value.
    #[serde(rename(serialize = "Value"), alias = "value", default)]
    pub value: String,
}

impl Tag {
    /// A tag.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl Set<Tag> {
    /// Returns the value of a tag.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.iter().find(|tag| tag.key == key).map(|tag| &*tag.value)
    }
}

/// The tags of a resource that is created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagSpecification {
    /// The type of the resource, such as `instance`, `volume`, `network-interface`.
    pub resource_type: String,
    /// The tags.
    #[serde(rename = "Tag")]
    pub tags: Vec<Tag>,
}

impl TagSpecification {
    /// Returns these tags for each of these types of resources.
    pub fn of(types: &[&str], tags: &[Tag]) -> Vec<Self> {
        types.iter().map(|name| Self { resource_type: (*name).into(), tags: tags.to_vec() }).collect()
    }
}

/// A setting that is sent as `Name.Value`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Switch {
    /// The setting.
    pub value: bool,
}

/// The answer to a request that reports nothing but its success.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Done {}

/// Encodes bytes that are sent in base 64.
pub(super) fn base64<S: serde::Serializer>(
    text: &Option<cloudron_core::Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    let encoded = text.as_ref().map(|text| base64::engine::general_purpose::STANDARD.encode(text.expose()));
    encoded.serialize(serializer)
}
