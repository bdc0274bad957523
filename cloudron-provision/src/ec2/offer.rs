//! What AWS offers for the settings: the type, its zones, the image and the subnets. Each is asked for once.

use cloudron_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::shared::{Shared, shown};
use super::{DescribeSubnets, Filter, InstanceType, Meaning, Subnet, lookup, parameters};
use crate::cloud::codes;

/// The accounts that publish the images of Debian and Ubuntu, and the user that those let in.
const OWNERS: [(&str, &str); 2] = [("136693071363", "admin"), ("099720109477", "ubuntu")];

/// Maximum number of subnets that are considered.
const PLACES: usize = 50;

/// The image of a machine.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) architecture: String,
    /// The device of the root volume.
    pub(super) device: String,
    /// The size of the root volume in GiB, if the image says it.
    pub(super) size: Option<u32>,
    /// The user that it lets in, if that is known.
    pub(super) user: Option<String>,
}

/// A subnet in which the machine can be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) subnet: String,
    pub(super) vpc: String,
    pub(super) zone: String,
    /// True if it has IPv6 addresses.
    pub(super) ipv6: bool,
}

impl Place {
    pub(super) fn of(subnet: &Subnet) -> Self {
        let ipv6 = subnet.ipv6.iter().any(|block| block.ipv6_cidr_block_state.state == "associated");
        Self {
            subnet: subnet.subnet_id.clone(),
            vpc: subnet.vpc_id.clone(),
            zone: subnet.availability_zone.clone(),
            ipv6,
        }
    }
}

impl Shared {
    /// Returns the type of instance.
    pub(super) async fn kind(&self) -> Result<&InstanceType> {
        let name = &self.settings.instance_type;
        let look = || async { absent_type(lookup::instance_type(&self.client, name).await, name) };
        self.kind.get_or_try_init(look).await
    }

    /// Returns the zones that offer the type, in their order.
    pub(super) async fn zones(&self) -> Result<&[String]> {
        let look = || async {
            let zones = lookup::zones_with(&self.client, &self.settings.instance_type).await?;
            Ok::<_, Error>(zones.into_iter().collect())
        };
        self.zones.get_or_try_init(look).await.map(Vec::as_slice)
    }

    /// Returns the image, by its ID or the public parameter.
    pub(super) async fn image(&self) -> Result<&Image> {
        self.image.get_or_try_init(|| self.look_up_image()).await
    }

    async fn look_up_image(&self) -> Result<Image> {
        let architecture = match &self.settings.image {
            Some(_) => String::new(),
            None => architecture(self.kind().await?),
        };
        let named = self.settings.image_for(&architecture);
        let id = if named.starts_with('/') {
            let value = parameters::public(&self.client, &named).await;
            let value = value.map_err(|failure| match failure.is(Meaning::Missing) {
                true => Error::new(&codes::NOT_FOUND, format!("no image by the parameter {named}")),
                false => failure.into(),
            })?;
            let fits =
                value.starts_with("ami-") && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !fits {
                let message = format!("the parameter {named} does not name an image");
                return Err(Error::new(&codes::NOT_FOUND, message));
            }
            value
        } else {
            named
        };
        let found = lookup::image(&self.client, &id).await?;
        let user = self.settings.user.clone().or_else(|| user_of(&found.image_owner_id, &found.name));
        Ok(Image {
            size: found.root_size(),
            id: found.image_id,
            name: shown(&found.name),
            architecture: found.architecture,
            device: found.root_device_name,
            user,
        })
    }

    /// Returns the subnets that exist for the machine: the given one, or those of the default network; none if the account
    /// has no default network.
    pub(super) async fn places(&self) -> Result<&[Place]> {
        let look = || async {
            let request = match &self.settings.subnet {
                Some(id) => DescribeSubnets { subnet_ids: vec![id.clone()], ..DescribeSubnets::default() },
                None => DescribeSubnets {
                    filters: vec![Filter::new("default-for-az", "true")],
                    ..DescribeSubnets::default()
                },
            };
            let mut places: Vec<Place> = self.client.all(&request).await?.iter().map(Place::of).collect();
            places.truncate(PLACES);
            places.sort_by(|a, b| (&a.zone, &a.subnet).cmp(&(&b.zone, &b.subnet)));
            Ok::<_, Error>(places)
        };
        self.places.get_or_try_init(look).await.map(Vec::as_slice)
    }
}

/// A type that does not exist is refused in several ways.
fn absent_type(found: Result<InstanceType>, name: &str) -> Result<InstanceType> {
    found.map_err(|error| match error.is(&codes::NOT_FOUND) {
        true => Error::new(&codes::NOT_FOUND, format!("the region has no instance type {name}")),
        false => error,
    })
}

/// Returns the architecture of a type, by EC2's name.
pub(super) fn architecture(kind: &InstanceType) -> String {
    let known = kind
        .processor_info
        .supported_architectures
        .iter()
        .find(|name| ["x86_64", "arm64"].contains(&&***name));
    known.cloned().unwrap_or_default()
}

/// Returns the user that an image lets in.
fn user_of(owner: &str, name: &str) -> Option<String> {
    let by_owner = OWNERS.iter().find(|(known, _)| *known == owner).map(|(_, user)| *user);
    let by_name = || match name.to_ascii_lowercase() {
        name if name.contains("debian") => Some("admin"),
        name if name.contains("ubuntu") => Some("ubuntu"),
        _ => None,
    };
    by_owner.or_else(by_name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_an_image_says_who_logs_in_and_else_its_name() {
        assert_eq!(user_of("136693071363", "anything").as_deref(), Some("admin"));
        assert_eq!(user_of("1", "my-Ubuntu-24.04").as_deref(), Some("ubuntu"));
        assert_eq!(user_of("1", "debian-12-amd64-20260101").as_deref(), Some("admin"));
        assert_eq!(user_of("1", "al2023-ami"), None);
    }
}
