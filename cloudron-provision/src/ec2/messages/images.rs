//! Images, instance types and where they are offered.

use cloudron_core::{Error, Result, codes};
use serde::Deserialize;

use super::Set;
use crate::ec2::action::listing;

listing! {
    /// Lists images, by owner or ID.
    DescribeImages {
        /// Accounts, or `self`. Anybody may publish an image of any name, so that a search by name needs an owner.
        #[serde(rename = "Owner")]
        owners: Vec<String>,
        /// IDs of images.
        #[serde(rename = "ImageId")]
        image_ids: Vec<String>,
    } => Images.images "imagesSet": Image, check = owned
}

fn owned(request: &DescribeImages) -> Result<()> {
    if request.owners.is_empty() && request.image_ids.is_empty() {
        return Err(Error::new(&codes::USAGE, "images are listed by their owner or their ID"));
    }
    Ok(())
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The ID.
    pub image_id: String,
    /// The name.
    #[serde(default)]
    pub name: String,
    /// The account that it belongs to.
    #[serde(default)]
    pub image_owner_id: String,
    /// When it was made (ISO 8601).
    #[serde(default)]
    pub creation_date: String,
    /// `x86_64` or `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// `available`, `pending`, `failed` and others.
    #[serde(default)]
    pub image_state: String,
    /// The device of the root volume, such as `/dev/sda1`.
    #[serde(default)]
    pub root_device_name: String,
    /// `ebs` or `instance-store`.
    #[serde(default)]
    pub root_device_type: String,
    /// When it is listed no longer (ISO 8601).
    #[serde(default)]
    pub deprecation_time: Option<String>,
    /// `v2.0` if instances of it accept IMDSv2 only.
    #[serde(default)]
    pub imds_support: Option<String>,
    /// The volumes of an instance.
    #[serde(rename = "blockDeviceMapping", default)]
    pub devices: Set<ImageDevice>,
}

/// A volume that an image brings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageDevice {
    /// The device.
    pub device_name: String,
    /// The volume.
    pub ebs: ImageVolume,
}

/// The size of a volume that an image brings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageVolume {
    /// Size in GiB: an instance's volume is not smaller.
    pub volume_size: Option<u32>,
    /// The snapshot that it is made from.
    pub snapshot_id: Option<String>,
}

listing! {
    /// Lists where instance types are offered.
    DescribeInstanceTypeOfferings {
        /// `region` or `availability-zone`.
        location_type: String,
    } => Offerings.offerings "instanceTypeOfferingSet": Offering
}

/// An instance type at a place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offering {
    /// The type.
    pub instance_type: String,
    /// The region or zone.
    #[serde(default)]
    pub location: String,
}

listing! {
    /// Lists instance types.
    DescribeInstanceTypes {
        /// Names of types. One that the region does not have is an error.
        #[serde(rename = "InstanceType")]
        instance_types: Vec<String>,
    } => InstanceTypes.types "instanceTypeSet": InstanceType
}

/// An instance type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceType {
    /// The name, such as `t3.small`.
    pub instance_type: String,
    /// True if the free plan has it.
    #[serde(default)]
    pub free_tier_eligible: bool,
    /// True if it is of a current generation.
    #[serde(default)]
    pub current_generation: bool,
    /// True if it earns credits: only then credits may be set.
    #[serde(default)]
    pub burstable_performance_supported: bool,
    /// `nitro` or `xen`; empty for bare metal.
    #[serde(default)]
    pub hypervisor: String,
    /// The processor.
    #[serde(default)]
    pub processor_info: Processor,
    /// The number of its threads.
    #[serde(default)]
    pub v_cpu_info: VCpus,
    /// The memory.
    #[serde(default)]
    pub memory_info: Memory,
    /// The network.
    #[serde(default)]
    pub network_info: Network,
}

/// The processor of an instance type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Processor {
    /// `x86_64`, `arm64`, `i386`.
    pub supported_architectures: Set<String>,
}

/// The threads of an instance type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VCpus {
    /// How many.
    #[serde(rename = "defaultVCpus")]
    pub count: u32,
}

/// The memory of an instance type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Size in MiB.
    #[serde(rename = "sizeInMiB")]
    pub mib: u64,
}

/// The network of an instance type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    /// True if it has IPv6.
    pub ipv6_supported: bool,
}
