//! The cloud without a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use async_trait::async_trait;
use cloudron_core::Result;

use super::droplet::addresses;
use super::messages::{Droplet, Firewall};
use super::names;
use super::provider::{DigitalOcean, Shared, marks_of};
use super::removal::{Found, Held, SHARED};
use crate::cloud::names::shown;
use crate::cloud::{Cloud, Item, Marks, Plan, Region, Size};

#[async_trait]
impl Cloud for DigitalOcean {
    async fn machines(&self) -> Result<Vec<Item>> {
        let droplets = self.shared.client.droplets().await?;
        Ok(droplets.iter().filter_map(|droplet| of_droplet(droplet, marks_of(&droplet.tags)?)).collect())
    }

    async fn inventory(&self, fqdn: &str) -> Result<Vec<Item>> {
        Marks::new(fqdn, &ulid::Ulid::nil().to_string())?;
        self.shared.inventory(fqdn).await
    }

    async fn remove(&self, item: &Item) -> Result<()> {
        self.shared.remove_item(item).await
    }

    async fn plan(&self, fqdn: &str) -> Result<Plan> {
        self.shared.plan(fqdn).await
    }

    async fn regions(&self) -> Result<Vec<Region>> {
        let regions = self.shared.client.regions().await?.into_iter();
        Ok(regions
            .map(|region| Region {
                name: shown(&region.slug),
                place: shown(&region.name),
                available: region.available,
            })
            .collect())
    }

    async fn sizes(&self, region: &str) -> Result<Vec<Size>> {
        self.shared.sizes(region).await
    }
}

impl Shared {
    async fn inventory(&self, fqdn: &str) -> Result<Vec<Item>> {
        let ours = |tags: &[String]| marks_of(tags).filter(|marks| marks.fqdn == fqdn);
        let mut droplets = Vec::new();
        for droplet in self.client.droplets().await? {
            if let Some(marks) = ours(&droplet.tags) {
                droplets.push((droplet, marks));
            }
        }
        let name = names::firewall(fqdn);
        let firewalls = self.client.firewalls().await?.into_iter().filter(|firewall| firewall.name == name);
        let firewalls: Vec<(Firewall, Marks)> =
            firewalls.filter_map(|firewall| ours(firewall.tags()).map(|marks| (firewall, marks))).collect();
        let keys = self.client.keys().await?;
        let keys = keys.into_iter().filter_map(|key| {
            let marks = names::marks_of_key(fqdn, &key.name, &key.public_key)?;
            Some(item("ssh-key", key.id.to_string(), &key.name, marks))
        });
        let mut items: Vec<Item> = Vec::new();
        let mut found = Found::default();
        for (droplet, marks) in &droplets {
            let reserved = self.reserved_of(droplet, marks).await?;
            let Some(mut item) = of_droplet(droplet, marks.clone()) else { continue };
            item.addresses.splice(0..0, reserved.iter().copied().map(IpAddr::from));
            items.push(item);
            found.droplets.insert(droplet.id, Held { droplet: droplet.clone(), reserved });
        }
        items.extend(keys);
        for (firewall, marks) in &firewalls {
            let state = if shared(firewall, &droplets) { SHARED } else { "" };
            let item = item("firewall", firewall.id.clone(), &firewall.name, marks.clone());
            items.push(Item { state: state.into(), ..item });
            found.firewalls.insert(firewall.id.clone(), marks.run.clone());
        }
        *self.found() = Some(found);
        let known = items.iter().map(|item| item.marks.clone()).collect();
        items.extend(self.tags_of(fqdn, &droplets, &firewalls, known).await?);
        Ok(items)
    }

    /// Returns the tags that are to be removed besides those that go with a droplet. Where a droplet or a firewall is
    /// missing, a run was broken off, and tags may be left that nothing carries.
    async fn tags_of(
        &self,
        fqdn: &str,
        droplets: &[(Droplet, Marks)],
        firewalls: &[(Firewall, Marks)],
        known: Vec<Marks>,
    ) -> Result<Vec<Item>> {
        let bare = |marks: &Marks| Marks::new(&*marks.fqdn, &marks.run).ok();
        let mut machines: BTreeMap<String, Marks> = BTreeMap::new();
        for (_, marks) in droplets.iter().map(|(d, m)| (d.id, m)).chain(firewalls.iter().map(|(_, m)| (0, m)))
        {
            machines.extend(marks.machine_word().zip(bare(marks)));
        }
        let mut items = Vec::new();
        if droplets.is_empty() || firewalls.is_empty() {
            let all: Vec<String> = self.client.tags().await?.into_iter().map(|tag| tag.name).collect();
            for tag in &all {
                let marks = Marks::from_words([&**tag]).filter(|marks| marks.fqdn == fqdn);
                machines.extend(marks.map(|marks| (tag.clone(), marks)));
            }
            let carried: BTreeSet<&String> = droplets.iter().flat_map(|(droplet, _)| &droplet.tags).collect();
            for tag in all.iter().filter(|tag| !carried.contains(tag)) {
                let run = names::run_of_word(tag);
                let of_run = |marks: &&Marks| Some(&*marks.run) == run;
                let marks = known.iter().chain(machines.values()).find(of_run).and_then(bare);
                items.extend(marks.map(|marks| item("tag", tag.clone(), tag, marks)));
            }
        }
        // Last, since everything else is known by them.
        items.extend(machines.into_iter().map(|(tag, marks)| item("tag", tag.clone(), &tag, marks)));
        Ok(items)
    }
}

/// Returns whether a firewall is for anything besides the machine.
fn shared(firewall: &Firewall, droplets: &[(Droplet, Marks)]) -> bool {
    let ours = |id: &u64| droplets.iter().any(|(droplet, _)| droplet.id == *id);
    firewall.tags().len() > 1 || firewall.droplet_ids.iter().flatten().any(|id| !ours(id))
}

fn of_droplet(droplet: &Droplet, marks: Marks) -> Option<Item> {
    let item = item("droplet", droplet.id.to_string(), &droplet.name, marks);
    let (addresses, state) = (addresses(droplet), shown(&droplet.status));
    Some(Item { addresses, state, region: droplet.region.as_ref().map(|region| shown(&region.slug)), ..item })
}

fn item(kind: &'static str, id: String, name: &str, marks: Marks) -> Item {
    let (addresses, state) = (Vec::new(), String::new());
    Item { kind, id, name: shown(name), marks, addresses, state, region: None }
}
