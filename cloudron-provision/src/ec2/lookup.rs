//! Questions that take more than one filter to ask.

use std::collections::BTreeSet;

use cloudron_core::{Error, Result};

use super::{
    Client, DescribeImages, DescribeInstanceTypeOfferings, DescribeInstanceTypes, Filter, Image, InstanceType,
};
use crate::cloud::codes;

/// Whose images, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageQuery<'a> {
    /// The number of the account that publishes them, or `self`. Anybody may publish an image of the same name.
    pub owner: &'a str,
    /// The name; `*` stands for any characters.
    pub name: &'a str,
    /// `x86_64` or `arm64`.
    pub architecture: &'a str,
}

/// Returns the newest image of an owner with such a name.
///
/// # Errors
/// `cloud-not-found` if there is none.
pub async fn newest_image(client: &Client, query: ImageQuery<'_>) -> Result<Image> {
    let filters = vec![
        Filter::new("name", query.name),
        Filter::new("architecture", query.architecture),
        Filter::new("state", "available"),
        Filter::new("root-device-type", "ebs"),
        Filter::new("virtualization-type", "hvm"),
    ];
    let request = DescribeImages { owners: vec![query.owner.into()], filters, ..DescribeImages::default() };
    let images = client.all(&request).await?;
    newest(images, query).ok_or_else(|| {
        let ImageQuery { owner, name, architecture } = query;
        let text =
            format!("no image `{name}` of the account {owner} for {architecture} in {}", client.region());
        Error::new(&codes::NOT_FOUND, text)
    })
}

fn newest(images: Vec<Image>, query: ImageQuery<'_>) -> Option<Image> {
    let suits = |image: &Image| {
        (image.image_owner_id == query.owner || query.owner == "self")
            && image.architecture == query.architecture
            && !image.root_device_name.is_empty()
    };
    images
        .into_iter()
        .filter(suits)
        .max_by(|a, b| (&a.creation_date, &a.image_id).cmp(&(&b.creation_date, &b.image_id)))
}

/// Returns the image with an ID.
///
/// # Errors
/// `cloud-not-found` if there is none, or it is not visible to the account.
pub async fn image(client: &Client, id: &str) -> Result<Image> {
    let request = DescribeImages { image_ids: vec![id.into()], ..DescribeImages::default() };
    let found = client.all(&request).await?.into_iter().find(|image| image.image_id == id);
    found.ok_or_else(|| Error::new(&codes::NOT_FOUND, format!("no image {id} in {}", client.region())))
}

impl Image {
    /// Returns the size of the root volume in GiB, below which an instance cannot be started.
    pub fn root_size(&self) -> Option<u32> {
        let root = self.devices.iter().find(|device| device.device_name == self.root_device_name);
        root.and_then(|root| root.ebs.volume_size)
    }
}

/// Returns the zones of the region that offer an instance type; none if the region does not have it.
///
/// # Errors
/// Those of the request.
pub async fn zones_with(client: &Client, instance_type: &str) -> Result<BTreeSet<String>> {
    let request = DescribeInstanceTypeOfferings {
        location_type: "availability-zone".into(),
        filters: vec![Filter::new("instance-type", instance_type)],
        ..DescribeInstanceTypeOfferings::default()
    };
    let offerings = client.all(&request).await?;
    let of_it = offerings.into_iter().filter(|offering| offering.instance_type == instance_type);
    Ok(of_it.map(|offering| offering.location).collect())
}

/// Returns what an instance type has.
///
/// # Errors
/// `cloud-not-found` if the region does not have it.
pub async fn instance_type(client: &Client, name: &str) -> Result<InstanceType> {
    let request =
        DescribeInstanceTypes { instance_types: vec![name.into()], ..DescribeInstanceTypes::default() };
    let found = client.all(&request).await?.into_iter().find(|found| found.instance_type == name);
    found.ok_or_else(|| {
        Error::new(&codes::NOT_FOUND, format!("no instance type {name} in {}", client.region()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: &str, owner: &str, date: &str) -> Image {
        Image {
            image_id: id.into(),
            image_owner_id: owner.into(),
            creation_date: date.into(),
            architecture: "x86_64".into(),
            root_device_name: "/dev/xvda".into(),
            ..Image::default()
        }
    }

    #[test]
    fn the_newest_image_of_the_owner_is_chosen_whatever_is_answered() {
        let query = ImageQuery { owner: "1", name: "*", architecture: "x86_64" };
        let images = vec![
            made("ami-b", "1", "2026-10-01T00:00:00.000Z"),
            made("ami-c", "1", "2026-11-02T00:00:00.000Z"),
            made("ami-a", "1", "2026-11-02T00:00:00.000Z"),
            made("ami-z", "2", "2026-12-01T00:00:00.000Z"),
            Image { architecture: "arm64".into(), ..made("ami-y", "1", "2026-12-01T00:00:00.000Z") },
            Image { root_device_name: String::new(), ..made("ami-x", "1", "2026-12-01T00:00:00.000Z") },
        ];
        assert_eq!(newest(images, query).unwrap().image_id, "ami-c");
        assert_eq!(newest(vec![made("ami-z", "2", "2026-12-01T00:00:00.000Z")], query), None);
    }
}
