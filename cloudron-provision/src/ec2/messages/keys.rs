//! Key pairs.

use serde::{Deserialize, Serialize};

use super::{Done, Filter, Set, Tag, TagSpecification};
use crate::ec2::action::action;

/// Lists key pairs. The answer has no pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyPairs {
    /// Names of key pairs.
    #[serde(rename = "KeyName")]
    pub key_names: Vec<String>,
    /// True if the public keys are answered. Compare those: the fingerprints are of several kinds.
    pub include_public_key: bool,
    /// Filters.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
}

/// The answer to [`DescribeKeyPairs`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct KeyPairs {
    /// The key pairs.
    #[serde(rename = "keySet")]
    pub keys: Set<KeyPair>,
}

/// A key pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyPair {
    /// The ID.
    pub key_pair_id: String,
    /// The name.
    #[serde(default)]
    pub key_name: String,
    /// `rsa` or `ed25519`.
    #[serde(default)]
    pub key_type: String,
    /// The public key, as in `authorized_keys`, if it was asked for.
    #[serde(default)]
    pub public_key: Option<String>,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

action!(DescribeKeyPairs, repeatable, KeyPairs);

/// Imports a public key: RSA or Ed25519. The name is unique, so that a second import fails as
/// [`Exists`](crate::ec2::Meaning::Exists).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportKeyPair {
    /// The name.
    pub key_name: String,
    /// The public key, as in `authorized_keys`. Sent in base 64.
    #[serde(serialize_with = "base64")]
    pub public_key_material: String,
    /// Tags of `key-pair`.
    #[serde(rename = "TagSpecification")]
    pub tags: Vec<TagSpecification>,
}

fn base64<S: serde::Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text).serialize(serializer)
}

/// The answer to [`ImportKeyPair`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedKeyPair {
    /// The ID.
    pub key_pair_id: String,
    /// The name.
    pub key_name: String,
}

action!(ImportKeyPair, once, ImportedKeyPair);

/// Deletes a key pair. Succeeds when there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteKeyPair {
    /// The ID.
    pub key_pair_id: String,
}

action!(DeleteKeyPair, repeatable, Done);
