//! Starting an instance.

use cloudron_core::{Error, Result, Secret, codes};
use serde::{Deserialize, Serialize};

use super::common::base64;
use super::{Instance, Set, TagSpecification};
use crate::ec2::Action;

/// Maximum length of user data in bytes, before it is encoded.
pub const LONGEST_USER_DATA: usize = 16 << 10;

/// Starts one instance. With the same token and parameters, AWS answers the instance that it started before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunInstances {
    /// The image.
    pub image_id: String,
    /// The type.
    pub instance_type: String,
    /// Always 1.
    pub min_count: u32,
    /// Always 1.
    pub max_count: u32,
    /// The token that makes a repetition safe: 1 to 64 ASCII characters.
    pub client_token: String,
    /// The key pair.
    pub key_name: Option<String>,
    /// User data, such as a cloud-config. It may hold a key that is used once.
    #[serde(serialize_with = "base64")]
    pub user_data: Option<Secret>,
    /// The network interface.
    #[serde(rename = "NetworkInterface")]
    pub network_interfaces: Vec<NewInterface>,
    /// The volumes.
    #[serde(rename = "BlockDeviceMapping")]
    pub devices: Vec<NewDevice>,
    /// How the instance reads its metadata.
    pub metadata_options: MetadataOptions,
    /// If true, it is protected from being terminated.
    pub disable_api_termination: bool,
    /// The effect of a shutdown from inside: `stop` or `terminate`.
    pub instance_initiated_shutdown_behavior: Option<String>,
    /// How credits are spent. Types without credits refuse it.
    pub credit_specification: Option<Credits>,
    /// The profile with the permissions of the instance in the account.
    pub iam_instance_profile: Option<InstanceProfile>,
    /// Tags of `instance`, `volume`, `network-interface`.
    #[serde(rename = "TagSpecification")]
    pub tags: Vec<TagSpecification>,
    /// True if this is only a trial.
    pub dry_run: bool,
}

impl Default for RunInstances {
    fn default() -> Self {
        Self {
            image_id: String::new(),
            instance_type: String::new(),
            min_count: 1,
            max_count: 1,
            client_token: String::new(),
            key_name: None,
            user_data: None,
            network_interfaces: Vec::new(),
            devices: Vec::new(),
            metadata_options: MetadataOptions::default(),
            disable_api_termination: false,
            instance_initiated_shutdown_behavior: None,
            credit_specification: None,
            iam_instance_profile: None,
            tags: Vec::new(),
            dry_run: false,
        }
    }
}

impl Action for RunInstances {
    const NAME: &'static str = "RunInstances";
    const REPEATABLE: bool = true;
    type Answer = Started;

    fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::new(&codes::USAGE, why));
        if self.client_token.is_empty() || self.client_token.len() > 64 || !self.client_token.is_ascii() {
            return wrong("the client token has 1 to 64 ASCII characters".into());
        }
        if (self.min_count, self.max_count) != (1, 1) {
            return wrong("one instance is started at a time".into());
        }
        match self.user_data.as_ref().map_or(0, |data| data.expose().len()) {
            length if length > LONGEST_USER_DATA => {
                wrong(format!("user data has {length} bytes, and {LONGEST_USER_DATA} is the limit"))
            }
            _ => Ok(()),
        }
    }
}

/// The network interface of a new instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewInterface {
    /// Its number: 0.
    pub device_index: u32,
    /// The subnet.
    pub subnet_id: String,
    /// True if it gets a public IPv4 address.
    pub associate_public_ip_address: bool,
    /// The number of IPv6 addresses.
    pub ipv6_address_count: Option<u32>,
    /// The security groups.
    #[serde(rename = "SecurityGroupId")]
    pub security_groups: Vec<String>,
    /// True if it is deleted with the instance.
    pub delete_on_termination: bool,
}

/// A volume of a new instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewDevice {
    /// The device: that of the image for the root volume.
    pub device_name: String,
    /// The volume.
    pub ebs: NewVolume,
}

/// The volume of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewVolume {
    /// The type: `gp3`.
    pub volume_type: String,
    /// Size in GiB.
    pub volume_size: u32,
    /// True if it is encrypted.
    pub encrypted: bool,
    /// True if it is deleted with the instance.
    pub delete_on_termination: bool,
}

impl NewVolume {
    /// An encrypted `gp3` volume that is deleted with its instance.
    pub fn encrypted(gib: u32) -> Self {
        Self { volume_type: "gp3".into(), volume_size: gib, encrypted: true, delete_on_termination: true }
    }
}

/// How an instance reads its metadata. The default is IMDSv2 only, from the instance itself and not from containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetadataOptions {
    /// `required` or `optional`.
    pub http_tokens: String,
    /// How many hops an answer goes.
    pub http_put_response_hop_limit: u32,
    /// `enabled` or `disabled`.
    pub http_endpoint: String,
    /// `enabled` or `disabled`: whether tags can be read.
    pub instance_metadata_tags: String,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        Self {
            http_tokens: "required".into(),
            http_put_response_hop_limit: 1,
            http_endpoint: "enabled".into(),
            instance_metadata_tags: "disabled".into(),
        }
    }
}

/// How credits are spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Credits {
    /// `standard` or `unlimited`, which can cost more.
    pub cpu_credits: String,
}

/// A profile with the permissions of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceProfile {
    /// The name of the profile.
    pub name: String,
}

/// The answer to [`RunInstances`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The instance.
    #[serde(rename = "instancesSet")]
    pub instances: Set<Instance>,
}
