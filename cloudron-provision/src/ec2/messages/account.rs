//! Zones and regions of the account, and the owner of the credentials.

use serde::{Deserialize, Serialize};

use super::{Filter, Set};
use crate::ec2::action::action;
use crate::ec2::{Action, Service};

/// Lists the zones of the region that the account uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAvailabilityZones {
    /// Filters, such as `zone-type`.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
}

/// The answer to [`DescribeAvailabilityZones`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Zones {
    /// The zones.
    #[serde(rename = "availabilityZoneInfo")]
    pub zones: Set<Zone>,
}

/// A zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Zone {
    /// The name, such as `eu-central-1a`.
    pub zone_name: String,
    /// `available`, `information`, `impaired`, `unavailable` or `constrained`.
    #[serde(default)]
    pub zone_state: String,
    /// `availability-zone`, `local-zone` or `wavelength-zone`.
    #[serde(default)]
    pub zone_type: String,
}

action!(DescribeAvailabilityZones, repeatable, Zones);

/// Lists the regions that the account uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeRegions {
    /// If true, regions that the account has not turned on are listed too. `None` means false.
    pub all_regions: Option<bool>,
}

/// The answer to [`DescribeRegions`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Regions {
    /// The regions.
    #[serde(rename = "regionInfo")]
    pub regions: Set<KnownRegion>,
}

/// A region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownRegion {
    /// The name, such as `eu-central-1`.
    pub region_name: String,
    /// `opt-in-not-required`, `opted-in` or `not-opted-in`.
    #[serde(default)]
    pub opt_in_status: String,
}

action!(DescribeRegions, repeatable, Regions);

/// Asks whether the account blocks the internet for its networks in this region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DescribeVpcBlockPublicAccessOptions {}

/// The answer to [`DescribeVpcBlockPublicAccessOptions`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockPublicAccess {
    /// The options.
    #[serde(rename = "vpcBlockPublicAccessOptions")]
    pub options: BlockPublicAccessOptions,
}

/// The blocked traffic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockPublicAccessOptions {
    /// `off`, `block-bidirectional` or `block-ingress`.
    pub internet_gateway_block_mode: String,
}

action!(DescribeVpcBlockPublicAccessOptions, repeatable, BlockPublicAccess);

/// Asks who the credentials belong to. Needs no permission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GetCallerIdentity {}

/// The answer to [`GetCallerIdentity`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CallerIdentity {
    /// Who.
    #[serde(rename = "GetCallerIdentityResult")]
    pub caller: Caller,
}

/// Who the credentials belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The name of the user or role, with its account.
    pub arn: String,
}

impl Action for GetCallerIdentity {
    const NAME: &'static str = "GetCallerIdentity";
    const SERVICE: Service = Service::Sts;
    const REPEATABLE: bool = true;
    type Answer = CallerIdentity;
}
