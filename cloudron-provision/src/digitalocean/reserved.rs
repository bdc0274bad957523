//! The reserved address of a droplet. It has no tags, so that it is made for the droplet and known by it.

use std::net::Ipv4Addr;
use std::time::Duration;

use cloudron_core::{Error, Result};

use super::client::{Find, Made};
use super::messages::{Droplet, NewReservedIp, ReservedIp};
use super::names;
use super::provider::Shared;
use crate::cloud::{Marks, Patience, codes};

impl Shared {
    /// Returns the addresses that were reserved for a droplet and that it still has: those that its tags name. While there is
    /// no such tag, the run that made the droplet is still reserving one for it.
    pub(super) async fn reserved_of(&self, droplet: &Droplet, marks: &Marks) -> Result<Vec<Ipv4Addr>> {
        let wanted = names::reserved_word(&marks.run);
        if !droplet.tags.contains(&wanted) {
            return Ok(Vec::new());
        }
        let named = droplet.tags.iter().any(|tag| tag.starts_with(&format!("{wanted}:")));
        let ours = |ip: &Ipv4Addr| !named || droplet.tags.contains(&names::address_word(&marks.run, *ip));
        Ok(self.held_by(droplet.id).await?.into_iter().filter(ours).collect())
    }

    /// Returns the reserved addresses that a droplet has.
    async fn held_by(&self, droplet: u64) -> Result<Vec<Ipv4Addr>> {
        let all = self.client.reserved_ips().await?;
        let holds = |reserved: &ReservedIp| reserved.droplet.as_ref().is_some_and(|d| d.id == droplet);
        Ok(all.into_iter().filter(holds).map(|reserved| reserved.ip).collect())
    }

    /// Returns the reserved address of a droplet, which is made if there is none, and names it in a tag.
    pub(super) async fn reserve(&self, droplet: &Droplet, run: &str, fresh: bool) -> Result<Ipv4Addr> {
        let begins = format!("{}:", names::reserved_word(run));
        if droplet.tags.iter().any(|tag| tag.starts_with(&begins)) {
            let held = self.held_by(droplet.id).await?;
            let ours = held.iter().find(|ip| droplet.tags.contains(&names::address_word(run, **ip)));
            // One that somebody else assigned in its place is used, and stays theirs.
            if let Some(ip) = ours.or(held.first()) {
                return Ok(*ip);
            }
        }
        let ip = self.reserved(droplet.id, fresh).await?;
        let tag = names::address_word(run, ip);
        if !droplet.tags.contains(&tag) {
            self.client.create_tag(&tag).await?;
            self.client.tag(&tag, droplet.id).await?;
        }
        Ok(ip)
    }

    /// A droplet that was just made has none.
    async fn reserved(&self, droplet: u64, fresh: bool) -> Result<Ipv4Addr> {
        if !fresh && let Some(ip) = self.held_by(droplet).await?.first() {
            return Ok(*ip);
        }
        let find: Find<'_, ReservedIp> = &|| {
            Box::pin(async move {
                let all = self.client.reserved_ips().await?;
                Ok(all.into_iter().find(|ip| ip.droplet.as_ref().is_some_and(|d| d.id == droplet)))
            })
        };
        let body = NewReservedIp { droplet_id: droplet };
        match self.client.create("/v2/reserved_ips", "reserved_ip", &body, find).await? {
            Made::New(reserved, Some(action)) => {
                self.assigned(action).await?;
                Ok(reserved.ip)
            }
            Made::New(reserved, None) | Made::There(reserved) => Ok(reserved.ip),
        }
    }

    /// Waits until an address is assigned.
    async fn assigned(&self, action: u64) -> Result<()> {
        let mut waits = Patience::of(Duration::from_secs(120)).begin(&*self.client.rest.clock);
        loop {
            match self.client.action(action).await?.as_ref().map(|action| &*action.status) {
                Some("completed") => return Ok(()),
                Some("errored") => {
                    let message = "the reserved address could not be assigned to the droplet";
                    return Err(Error::new(&codes::REFUSED, message));
                }
                _ => waits.again("the reserved address was not assigned").await?,
            }
        }
    }
}
