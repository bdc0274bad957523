//! The removal of a droplet and of what belongs to it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use cloudron_core::{Error, Result};

use super::messages::Droplet;
use super::names;
use super::provider::{Shared, marks_of};
use crate::cloud::{Item, Marks, Patience, codes};

/// What an inventory found, as far as it was not removed since.
#[derive(Default)]
pub(super) struct Found {
    /// The droplets by ID.
    pub(super) droplets: BTreeMap<u64, Held>,
    /// The runs of firewalls by their ID.
    pub(super) firewalls: BTreeMap<String, String>,
}

/// A droplet that an inventory found, and its reserved addresses.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) droplet: Droplet,
    pub(super) reserved: Vec<Ipv4Addr>,
}

impl Shared {
    /// Deletes a droplet, the addresses that are reserved for it, and the tags that only it has. Its machine's tag is left:
    /// by that, everything else is known.
    pub(super) async fn delete_droplet(
        &self,
        droplet: &Droplet,
        reserved: Option<Vec<Ipv4Addr>>,
    ) -> Result<()> {
        let Some(marks) = marks_of(&droplet.tags) else {
            return Err(self.foreign("droplet", &droplet.name, &droplet.tags));
        };
        let reserved = match reserved {
            Some(reserved) => reserved,
            None => self.reserved_of(droplet, &marks).await?,
        };
        // While the droplet exists, it says whose they are.
        for ip in reserved {
            self.client.delete(&format!("/v2/reserved_ips/{ip}")).await?;
        }
        let path = format!("/v2/droplets/{}", droplet.id);
        self.client.delete(&path).await?;
        let mut waits = Patience::of(Duration::from_secs(180)).begin(&*self.client.rest.clock);
        while self.client.droplet(droplet.id).await?.is_some() {
            let still = || Error::new(&codes::DOWN, format!("{path} is still there"));
            waits.again("it was not removed").await.map_err(|_| still())?;
        }
        if marks.keys.one_time.is_some() {
            // Its keys were being replaced: a tag may have been made that it does not have yet.
            self.sweep(&marks.run).await?;
        } else {
            for tag in droplet.tags.iter().filter(|tag| names::run_of_word(tag) == Some(&*marks.run)) {
                self.client.delete_tag(tag).await?;
            }
        }
        if let Some(found) = &mut *self.found() {
            found.droplets.remove(&droplet.id);
        }
        Ok(())
    }

    /// Deletes the tags of a run, but for the one that names the machine. It has no droplet any more.
    pub(super) async fn sweep(&self, run: &str) -> Result<()> {
        let tags = self.client.tags().await?.into_iter().map(|tag| tag.name);
        for tag in tags.filter(|tag| names::run_of_word(tag) == Some(run)) {
            self.client.delete_tag(&tag).await?;
        }
        Ok(())
    }

    /// Refuses to remove what protects or names a machine whose droplet exists. One that was just deleted may be listed for
    /// a moment.
    pub(super) async fn check_empty(&self, marks: &Marks) -> Result<()> {
        let word = self.word(marks)?;
        let mut waits = Patience::of(Duration::from_secs(30)).begin(&*self.client.rest.clock);
        loop {
            let Some(left) = self.client.droplets_tagged(&word).await?.into_iter().next() else {
                return Ok(());
            };
            let waited = waits.again("the droplet was not removed").await;
            waited.map_err(|_| needed_by(&format!("droplet {}", left.id)))?;
        }
    }

    /// Refuses to remove a firewall or a tag whose droplet was not removed since the last inventory, or that others use.
    async fn check_unused(&self, item: &Item) -> Result<()> {
        if item.state == SHARED {
            let message = format!("the firewall {} is used for other droplets too", item.name);
            return Err(Error::new(&codes::IN_USE, message));
        }
        let of_run = |held: &Held| marks_of(&held.droplet.tags).is_some_and(|m| m.run == item.marks.run);
        let needed = self.found().as_ref().map(|found| {
            let droplet =
                found.droplets.iter().find(|(_, held)| of_run(held)).map(|(id, _)| format!("droplet {id}"));
            let firewall =
                found.firewalls.iter().find(|(_, run)| item.kind == "tag" && **run == item.marks.run);
            droplet.or(firewall.map(|(id, _)| format!("firewall {id}")))
        });
        match needed {
            Some(Some(other)) => Err(needed_by(&other)),
            Some(None) => Ok(()),
            None => self.check_empty(&item.marks).await,
        }
    }

    /// Returns what the last inventory found; none if there was no inventory.
    pub(super) fn found(&self) -> MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes something that an inventory found.
    pub(super) async fn remove_item(&self, item: &Item) -> Result<()> {
        match item.kind {
            "droplet" => {
                let id = item.id.parse().map_err(|_| unknown(item))?;
                let held = self.found().as_ref().and_then(|found| found.droplets.get(&id).cloned());
                match held {
                    Some(held) => self.delete_droplet(&held.droplet, Some(held.reserved)).await,
                    None => match self.client.droplet(id).await? {
                        Some(droplet)
                            if marks_of(&droplet.tags).is_some_and(|m| m.fqdn == item.marks.fqdn) =>
                        {
                            self.delete_droplet(&droplet, None).await
                        }
                        Some(other) => Err(self.foreign("droplet", &other.name, &other.tags)),
                        None => Ok(()),
                    },
                }
            }
            "ssh-key" => self.client.delete(&format!("/v2/account/keys/{}", number(item)?)).await,
            "firewall" | "tag" => {
                self.check_unused(item).await?;
                if item.kind == "tag" {
                    return self.client.delete_tag(&item.id).await;
                }
                self.client.delete(&format!("/v2/firewalls/{}", uuid(item)?)).await?;
                if let Some(found) = &mut *self.found() {
                    found.firewalls.remove(&item.id);
                }
                Ok(())
            }
            _ => Err(unknown(item)),
        }
    }
}

/// The state of a firewall that is used for something else too.
pub(super) const SHARED: &str = "shared";

fn needed_by(other: &str) -> Error {
    Error::new(&codes::IN_USE, format!("the {other} still needs it"))
}

fn unknown(item: &Item) -> Error {
    let message = format!("there is no kind {:?} with the ID {:?}", item.kind, item.id);
    Error::new(&codes::NOT_FOUND, message)
}

fn number(item: &Item) -> Result<u64> {
    item.id.parse().map_err(|_| unknown(item))
}

fn uuid(item: &Item) -> Result<&str> {
    let fits = |b: u8| b.is_ascii_hexdigit() || b == b'-';
    if !item.id.is_empty() && item.id.bytes().all(fits) { Ok(&item.id) } else { Err(unknown(item)) }
}
