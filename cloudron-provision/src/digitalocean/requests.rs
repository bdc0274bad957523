//! The requests, by name.

use std::time::Duration;

use cloudron_core::Result;
use cloudron_http::rest::segment;
use http::StatusCode;

use super::client::Client;
use super::failures::once;
use super::messages::{
    Action, Droplet, Firewall, Key, NewTag, Region, ReservedIp, Resource, Size, Tag, Tagged,
};
use super::names;
use crate::cloud::names::key_body;
use crate::cloud::{Patience, codes};

impl Client {
    pub(super) async fn sizes(&self) -> Result<Vec<Size>> {
        self.list("sizes", "", |size: &Size| size.slug.clone()).await
    }

    pub(super) async fn regions(&self) -> Result<Vec<Region>> {
        self.list("regions", "", |region: &Region| region.slug.clone()).await
    }

    /// Returns all droplets but those with GPUs, which the list has not.
    pub(super) async fn droplets(&self) -> Result<Vec<Droplet>> {
        self.list("droplets", "", |droplet: &Droplet| droplet.id).await
    }

    pub(super) async fn droplets_tagged(&self, tag: &str) -> Result<Vec<Droplet>> {
        let filter = format!("&tag_name={}", segment(tag));
        self.list("droplets", &filter, |droplet: &Droplet| droplet.id).await
    }

    pub(super) async fn droplets_named(&self, name: &str) -> Result<Vec<Droplet>> {
        let filter = format!("&name={}", segment(name));
        let found = self.list("droplets", &filter, |droplet: &Droplet| droplet.id).await?;
        Ok(found.into_iter().filter(|droplet: &Droplet| droplet.name.eq_ignore_ascii_case(name)).collect())
    }

    pub(super) async fn droplet(&self, id: u64) -> Result<Option<Droplet>> {
        self.get(&format!("/v2/droplets/{id}"), "droplet").await
    }

    pub(super) async fn action(&self, id: u64) -> Result<Option<Action>> {
        self.get(&format!("/v2/actions/{id}"), "action").await
    }

    pub(super) async fn firewalls(&self) -> Result<Vec<Firewall>> {
        self.list("firewalls", "", |firewall: &Firewall| firewall.id.clone()).await
    }

    pub(super) async fn keys(&self) -> Result<Vec<Key>> {
        self.list("account/keys", "", |key: &Key| key.id).await
    }

    /// Returns the key that the account has, if it is that one. The list of all keys may be read ten times a minute only.
    pub(super) async fn key(&self, public_key: &str) -> Result<Option<Key>> {
        let path = format!("/v2/account/keys/{}", segment(&names::fingerprint(public_key)));
        let found: Option<Key> = self.get(&path, "ssh_key").await?;
        Ok(found.filter(|key| key_body(&key.public_key) == key_body(public_key)))
    }

    pub(super) async fn tags(&self) -> Result<Vec<Tag>> {
        self.list("tags", "", |tag: &Tag| tag.name.clone()).await
    }

    pub(super) async fn reserved_ips(&self) -> Result<Vec<ReservedIp>> {
        self.list("reserved_ips", "", |reserved: &ReservedIp| reserved.ip).await
    }

    /// Creates a tag; one that exists is a success.
    pub(super) async fn create_tag(&self, name: &str) -> Result<()> {
        match self.post("/v2/tags", &NewTag { name }).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.error.is(&codes::TAKEN) => Ok(()),
            // Whether a tag can be created twice is not documented.
            Err(failure) if failure.status == Some(StatusCode::UNPROCESSABLE_ENTITY) => {
                let found: Option<Tag> = self.get(&tag_path(name), "tag").await?;
                found.filter(|tag| tag.name == name).map(drop).ok_or(failure.error)
            }
            Err(failure) => Err(once(failure.error)),
        }
    }

    /// Puts a tag that was just made on a droplet. It may take a moment until it is known.
    pub(super) async fn tag(&self, name: &str, droplet: u64) -> Result<()> {
        let resource = Resource { resource_id: droplet.to_string(), resource_type: "droplet" };
        let (path, body) = (format!("{}/resources", tag_path(name)), Tagged { resources: [resource] });
        let mut waits = Patience::of(Duration::from_secs(30)).begin(&*self.rest.clock);
        loop {
            match self.post(&path, &body).await {
                Ok(_) => return Ok(()),
                Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => {
                    waits.again("the tag was not known").await.map_err(|_| failure.error)?;
                }
                Err(failure) => return Err(once(failure.error)),
            }
        }
    }

    /// Deletes a tag, which takes it off everything.
    pub(super) async fn delete_tag(&self, name: &str) -> Result<()> {
        self.delete(&tag_path(name)).await
    }
}

fn tag_path(name: &str) -> String {
    format!("/v2/tags/{}", segment(name))
}
