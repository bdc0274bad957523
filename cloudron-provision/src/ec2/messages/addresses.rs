//! Elastic IP addresses.

use serde::{Deserialize, Serialize};

use super::{Done, Filter, Set, Tag, TagSpecification};
use crate::ec2::action::action;

/// Allocates an address. It has no token: look for the tags first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AllocateAddress {
    /// Always `vpc`.
    pub domain: String,
    /// Tags of `elastic-ip`.
    #[serde(rename = "TagSpecification")]
    pub tags: Vec<TagSpecification>,
}

impl Default for AllocateAddress {
    fn default() -> Self {
        Self { domain: "vpc".into(), tags: Vec::new() }
    }
}

/// The answer to [`AllocateAddress`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocated {
    /// The ID of the allocation.
    pub allocation_id: String,
    /// The address.
    pub public_ip: String,
}

action!(AllocateAddress, once, Allocated);

/// Lists addresses. The answer has no pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAddresses {
    /// Filters.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
}

/// The answer to [`DescribeAddresses`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Addresses {
    /// The addresses.
    #[serde(rename = "addressesSet")]
    pub addresses: Set<Address>,
}

/// An address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// The ID of the allocation.
    pub allocation_id: String,
    /// The address.
    #[serde(default)]
    pub public_ip: String,
    /// The ID of the association, if it has one.
    #[serde(default)]
    pub association_id: Option<String>,
    /// The instance that has it.
    #[serde(default)]
    pub instance_id: Option<String>,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

action!(DescribeAddresses, repeatable, Addresses);

/// Gives an address to an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociateAddress {
    /// The ID of the allocation.
    pub allocation_id: String,
    /// The instance.
    pub instance_id: String,
    /// True if it may be taken from another one.
    pub allow_reassociation: bool,
}

/// The answer to [`AssociateAddress`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Associated {
    /// The ID of the association.
    pub association_id: String,
}

// The same association once more is the same association.
action!(AssociateAddress, repeatable, Associated);

/// Takes an address from what has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisassociateAddress {
    /// The ID of the association.
    pub association_id: String,
}

action!(DisassociateAddress, repeatable, Done);

/// Gives an address back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReleaseAddress {
    /// The ID of the allocation.
    pub allocation_id: String,
}

action!(ReleaseAddress, repeatable, Done);
