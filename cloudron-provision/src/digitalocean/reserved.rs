//! The reserved address of a droplet. It has no tags, so that it is made for the droplet and known by it.

use std::net::Ipv4Addr;
use std::time::Duration;

use cloudron_core::{Error, Result};

use super::client::{Find, Made};
use super::messages::{NewReservedIp, ReservedIp};
use super::provider::Shared;
use crate::cloud::{Patience, codes};

impl Shared {
    /// Returns the reserved addresses of a droplet.
    pub(super) async fn reserved_of(&self, droplet: u64) -> Result<Vec<Ipv4Addr>> {
        let all = self.client.reserved_ips().await?;
        let holds = |reserved: &ReservedIp| reserved.droplet.as_ref().is_some_and(|d| d.id == droplet);
        Ok(all.into_iter().filter(holds).map(|reserved| reserved.ip).collect())
    }

    /// Returns the reserved address of a droplet, which is made if there is none. A droplet that was just made has none.
    pub(super) async fn reserve(&self, droplet: u64, fresh: bool) -> Result<Ipv4Addr> {
        if !fresh && let Some(ip) = self.reserved_of(droplet).await?.first() {
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
