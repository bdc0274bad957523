//! Instances.

use cloudron_core::Secret;
use serde::{Deserialize, Serialize};

use super::{Done, Set, Switch, Tag};
use crate::ec2::action::{action, listing};

listing! {
    /// Lists instances. A terminated one is listed for about an hour.
    DescribeInstances {
        /// IDs of instances.
        #[serde(rename = "InstanceId")]
        instance_ids: Vec<String>,
    } => Instances.reservations "reservationSet": Reservation
}

/// Instances that were started by one request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Reservation {
    /// The instances.
    #[serde(rename = "instancesSet")]
    pub instances: Set<Instance>,
}

/// The profile of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UsedProfile {
    /// The name of the resource, whose last part is the name of the profile.
    pub arn: String,
}

/// An instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// The ID.
    pub instance_id: String,
    /// The state.
    #[serde(default)]
    pub instance_state: State,
    /// Why it is in this state.
    #[serde(default)]
    pub state_reason: Reason,
    /// The token that it was started with.
    #[serde(default)]
    pub client_token: String,
    /// The image.
    #[serde(default)]
    pub image_id: String,
    /// The type.
    #[serde(default)]
    pub instance_type: String,
    /// When it was started last (ISO 8601).
    #[serde(default)]
    pub launch_time: String,
    /// The public IPv4 address.
    #[serde(rename = "ipAddress", default)]
    pub public_ip: Option<String>,
    /// The private IPv4 address.
    #[serde(default)]
    pub private_ip_address: Option<String>,
    /// The network.
    #[serde(default)]
    pub vpc_id: Option<String>,
    /// The subnet.
    #[serde(default)]
    pub subnet_id: Option<String>,
    /// Where it is.
    #[serde(default)]
    pub placement: Placement,
    /// The profile whose role it has.
    #[serde(default)]
    pub iam_instance_profile: Option<UsedProfile>,
    /// The device of the root volume.
    #[serde(default)]
    pub root_device_name: String,
    /// The volumes.
    #[serde(rename = "blockDeviceMapping", default)]
    pub devices: Set<Device>,
    /// The network interfaces.
    #[serde(rename = "networkInterfaceSet", default)]
    pub network_interfaces: Set<Interface>,
    /// How it reads its metadata.
    #[serde(default)]
    pub metadata_options: KnownMetadataOptions,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

impl Instance {
    /// Returns the first IPv6 address.
    pub fn ipv6(&self) -> Option<&str> {
        let address = self.network_interfaces.iter().flat_map(|interface| &interface.ipv6_addresses).next();
        address.map(|address| &*address.ipv6_address)
    }
}

/// The state of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct State {
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    pub name: String,
}

/// Why an instance is in its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// Such as `Server.InsufficientInstanceCapacity`.
    pub code: String,
    /// In words.
    pub message: String,
}

/// Where an instance is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Placement {
    /// The zone.
    pub availability_zone: String,
}

/// A volume of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// The device.
    pub device_name: String,
    /// The volume.
    pub ebs: Volume,
}

/// The volume of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// The ID.
    pub volume_id: String,
    /// True if it is deleted with the instance.
    pub delete_on_termination: bool,
}

/// A network interface of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Interface {
    /// The ID.
    pub network_interface_id: String,
    /// The security groups.
    #[serde(rename = "groupSet")]
    pub groups: Set<Group>,
    /// The IPv6 addresses.
    #[serde(rename = "ipv6AddressesSet")]
    pub ipv6_addresses: Set<Ipv6Address>,
}

/// A security group of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    /// The ID.
    pub group_id: String,
    /// The name.
    pub group_name: String,
}

/// An IPv6 address of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ipv6Address {
    /// The address.
    pub ipv6_address: String,
}

/// How an instance reads its metadata, as it is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KnownMetadataOptions {
    /// `required` or `optional`.
    pub http_tokens: String,
    /// How many hops an answer goes.
    pub http_put_response_hop_limit: Option<u32>,
}

/// Terminates instances. Twice is the same as once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TerminateInstances {
    /// The instances.
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
}

/// Stops instances. Twice is the same as once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StopInstances {
    /// The instances.
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
}

/// Starts stopped instances. Twice is the same as once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StartInstances {
    /// The instances.
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
}

/// The answer to a request that changes the state of instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Changed {
    /// The instances.
    #[serde(rename = "instancesSet")]
    pub instances: Set<Change>,
}

/// The change of the state of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The instance.
    pub instance_id: String,
    /// The state now.
    #[serde(default)]
    pub current_state: State,
}

action!(TerminateInstances, repeatable, Changed);
action!(StopInstances, repeatable, Changed);
action!(StartInstances, repeatable, Changed);

/// Changes one attribute of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyInstanceAttribute {
    /// The instance.
    pub instance_id: String,
    /// Turns the protection from being terminated on or off. `None` leaves it.
    pub disable_api_termination: Option<Switch>,
}

action!(ModifyInstanceAttribute, repeatable, Done);

/// Changes how an instance reads its metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyInstanceMetadataOptions {
    /// The instance.
    pub instance_id: String,
    /// How.
    #[serde(flatten)]
    pub options: super::MetadataOptions,
}

action!(ModifyInstanceMetadataOptions, repeatable, Done);

/// Adds or replaces tags of resources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CreateTags {
    /// IDs of resources.
    #[serde(rename = "ResourceId")]
    pub resources: Vec<String>,
    /// The tags.
    #[serde(rename = "Tag")]
    pub tags: Vec<Tag>,
}

action!(CreateTags, repeatable, Done);

/// Reads what an instance printed on its console.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetConsoleOutput {
    /// The instance.
    pub instance_id: String,
    /// True if the newest output is wanted, which only Nitro instances have.
    pub latest: bool,
}

/// The answer to [`GetConsoleOutput`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsoleOutput {
    /// The instance.
    pub instance_id: String,
    /// The output in base 64; empty for minutes after the start.
    #[serde(default)]
    pub output: String,
}

impl ConsoleOutput {
    /// Returns the output. Characters that are none are replaced.
    pub fn text(&self) -> Option<String> {
        use base64::Engine as _;
        let packed: String = self.output.split_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

action!(GetConsoleOutput, repeatable, ConsoleOutput);

/// Reads the user data of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceAttribute {
    /// The instance.
    pub instance_id: String,
    /// `userData` or `disableApiTermination`.
    pub attribute: String,
}

/// The answer to [`DescribeInstanceAttribute`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceAttribute {
    /// The user data in base 64.
    pub user_data: Option<SecretValue>,
    /// The protection from being terminated. `None` if the attribute was not asked for.
    pub disable_api_termination: Option<FlagValue>,
}

/// A text that may be secret.
#[derive(Debug, Clone, Deserialize)]
pub struct SecretValue {
    /// The text.
    pub value: Option<Secret>,
}

/// A flag.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct FlagValue {
    /// The flag.
    pub value: bool,
}

action!(DescribeInstanceAttribute, repeatable, InstanceAttribute);
