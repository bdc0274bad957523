//! The resources that carry our tags, and their removal.

use std::collections::BTreeMap;
use std::time::Duration;

use cloudron_core::{Error, Result};

use super::kind::Kind;
use super::machine::{ALIVE, addresses};
use super::shared::{Shared, marks_of, shown, visibility};
use super::{
    Action, DeleteInternetGateway, DeleteKeyPair, DeleteSecurityGroup, DeleteSubnet, DeleteVpc,
    DescribeInstances, DescribeInternetGateways, DescribeNetworkInterfaces, DescribeTags,
    DetachInternetGateway, Failure, Filter, Instance, Meaning, ModifyInstanceAttribute, ReleaseAddress,
    Switch, TerminateInstances,
};
use crate::cloud::{Item, Marks, Patience, codes};

/// How long something may be held by an instance that is being terminated.
const HELD: Duration = Duration::from_secs(600);
/// Maximum number of values of a filter.
const VALUES: usize = 200;

impl Shared {
    /// Returns the machines of the region.
    pub(super) async fn machines(&self) -> Result<Vec<Item>> {
        let filters = vec![Filter::new("tag-key", "cloudron:run"), Filter::any("instance-state-name", ALIVE)];
        Ok(self.instances(filters).await?.iter().filter_map(|instance| self.of_instance(instance)).collect())
    }

    async fn instances(&self, filters: Vec<Filter>) -> Result<Vec<Instance>> {
        let found = self.client.all(&DescribeInstances { filters, ..DescribeInstances::default() }).await?;
        Ok(found.into_iter().flat_map(|found| found.instances.item).collect())
    }

    fn of_instance(&self, instance: &Instance) -> Option<Item> {
        Some(Item {
            kind: Kind::Instance.name(),
            id: instance.instance_id.clone(),
            name: shown(instance.tags.value("Name").unwrap_or(&instance.instance_id)),
            marks: marks_of(&instance.tags)?,
            addresses: addresses(instance),
            state: shown(&instance.instance_state.name),
            region: Some(self.client.region().to_string()),
        })
    }

    /// Returns everything that carries a domain, in the order of its removal: by the tags, which are listed for all kinds at
    /// once, and the instances, whose tags outlive them.
    pub(super) async fn inventory(&self, fqdn: &str) -> Result<Vec<Item>> {
        let filters = vec![Filter::new("key", "cloudron:fqdn"), Filter::new("value", fqdn)];
        let tagged = self.client.all(&DescribeTags { filters, ..DescribeTags::default() }).await?;
        let known = tagged.into_iter().filter(|tag| tag.value == fqdn).map(|tag| tag.resource_id);
        let ids: Vec<String> = known.filter(|id| Kind::of(id).is_some()).collect();
        let mut items = Vec::new();
        for (id, tags) in self.tags_of(&ids).await? {
            let (Some(kind), Some(marks)) = (Kind::of(&id), Marks::from_tags(&tags)) else { continue };
            if kind != Kind::Instance && marks.fqdn == fqdn {
                let name = tags.get("Name").map_or_else(|| id.clone(), |name| shown(name));
                let region = Some(self.client.region().to_string());
                let (addresses, state) = (Vec::new(), String::new());
                items.push(Item { kind: kind.name(), id, name, marks, addresses, state, region });
            }
        }
        let mut used = None;
        let instances = ids.iter().filter(|id| Kind::of(id) == Some(Kind::Instance)).cloned();
        for some in instances.collect::<Vec<_>>().chunks(VALUES) {
            let filters = vec![Filter::any("instance-id", some.iter().cloned())];
            for instance in self.instances(filters).await? {
                used = used
                    .or_else(|| instance.iam_instance_profile.as_ref().map(|profile| profile.arn.clone()));
                // One that is being terminated holds its group and subnet until it has ended.
                let ended = instance.instance_state.name == "terminated";
                items.extend(self.of_instance(&instance).filter(|item| !ended && item.marks.fqdn == fqdn));
            }
        }
        let used = used.is_some_and(|arn| arn.ends_with(&format!("/{}", self.role_name(fqdn))));
        items.extend(self.role_items(fqdn, used).await?);
        items.sort_by_key(|item| (Kind::named(item.kind), item.id.clone()));
        Ok(items)
    }

    /// Returns the tags of these resources but the instances.
    async fn tags_of(&self, ids: &[String]) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let others = ids.iter().filter(|id| Kind::of(id) != Some(Kind::Instance)).cloned();
        let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for some in others.collect::<Vec<_>>().chunks(VALUES) {
            let filters = vec![Filter::any("resource-id", some.iter().cloned())];
            for tag in self.client.all(&DescribeTags { filters, ..DescribeTags::default() }).await? {
                all.entry(tag.resource_id).or_default().insert(tag.key, tag.value);
            }
        }
        Ok(all)
    }

    /// Removes something, and waits until it no longer exists.
    pub(super) async fn delete(&self, kind: Kind, id: &str) -> Result<()> {
        self.delete_once(kind, id).await.map(drop)
    }

    /// Removes something that was made a moment ago: that it does not exist may mean that it is not visible yet.
    pub(super) async fn delete_new(&self, kind: Kind, id: &str) -> Result<()> {
        let mut waits =
            Patience { limit: Duration::from_secs(16), ..visibility() }.begin(&*self.client.clock);
        while !self.delete_once(kind, id).await? {
            if waits.again("it was not visible").await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Returns whether it existed.
    async fn delete_once(&self, kind: Kind, id: &str) -> Result<bool> {
        let id = id.to_owned();
        let outcome = match kind {
            Kind::Instance => return self.end(&id).await,
            Kind::InstanceProfile => return self.delete_profile(name_in(&id)).await,
            Kind::Role => return self.delete_role(name_in(&id)).await,
            Kind::InternetGateway => return self.delete_gateway(&id).await,
            Kind::ElasticIp => self.freed(&ReleaseAddress { allocation_id: id.clone() }).await,
            Kind::SecurityGroup => self.freed(&DeleteSecurityGroup { group_id: id.clone() }).await,
            Kind::Subnet => self.freed(&DeleteSubnet { subnet_id: id.clone() }).await,
            Kind::Vpc => self.freed(&DeleteVpc { vpc_id: id.clone() }).await,
            Kind::KeyPair => self.freed(&DeleteKeyPair { key_pair_id: id.clone() }).await,
        };
        match outcome {
            Ok(existed) => Ok(existed),
            Err(failure) if failure.is(Meaning::InUse) => Err(self.held(kind, &id, failure).await),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Repeats a deletion while something else needs what is deleted. Returns whether that existed.
    async fn freed<A: Action>(&self, action: &A) -> Result<bool, Failure> {
        let mut waits = Patience::of(HELD).begin(&*self.client.clock);
        loop {
            match self.client.call(action).await {
                Ok(_) => return Ok(true),
                Err(failure) if failure.is(Meaning::Missing) => return Ok(false),
                Err(failure) if failure.is(Meaning::InUse) => {
                    if waits.again("it was needed").await.is_err() {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Returns the error for something that is still needed, with the interfaces that need it.
    async fn held(&self, kind: Kind, id: &str, failure: Failure) -> Error {
        let shown_id = shown(id);
        let filter = match kind {
            Kind::SecurityGroup => "group-id",
            Kind::Subnet => "subnet-id",
            _ => "vpc-id",
        };
        let request =
            DescribeNetworkInterfaces { filters: vec![Filter::new(filter, id)], ..Default::default() };
        let found = self.client.all(&request).await.unwrap_or_default();
        let holders: Vec<String> = found
            .iter()
            .take(10)
            .map(|one| shown(&format!("{} {}", one.network_interface_id, one.description)).trim().to_owned())
            .collect();
        let message = match &holders[..] {
            [] => format!("{shown_id} is still needed by something else"),
            holders => format!("{shown_id} is still needed by {}", holders.join(", ")),
        };
        Error::new(&codes::IN_USE, message).with_source(Error::from(failure))
    }

    /// Detaches and deletes a gateway. A network whose instance has just ended may hold it for some minutes.
    async fn delete_gateway(&self, id: &str) -> Result<bool> {
        let request =
            DescribeInternetGateways { internet_gateway_ids: vec![id.into()], ..Default::default() };
        let found = match self.client.all(&request).await {
            Ok(found) => found,
            Err(failure) if failure.is(Meaning::Missing) => return Ok(false),
            Err(failure) => return Err(failure.into()),
        };
        for attachment in found.iter().flat_map(|gateway| &gateway.attachments) {
            let vpc_id = attachment.vpc_id.clone();
            self.freed(&DetachInternetGateway { internet_gateway_id: id.into(), vpc_id }).await?;
        }
        Ok(self.freed(&DeleteInternetGateway { internet_gateway_id: id.into() }).await?)
    }

    /// Terminates an instance and waits for its end. Returns whether it existed.
    async fn end(&self, id: &str) -> Result<bool> {
        let unprotect = ModifyInstanceAttribute {
            instance_id: id.into(),
            disable_api_termination: Some(Switch { value: false }),
        };
        let terminate = TerminateInstances { instance_ids: vec![id.into()] };
        let mut waits = visibility().begin(&*self.client.clock);
        loop {
            match self.client.call(&unprotect).await {
                Ok(_) => {}
                Err(failure) if failure.is(Meaning::Missing) => return Ok(false),
                // It is ending or has ended.
                Err(failure) if failure.is(Meaning::WrongState) => {}
                Err(failure) => return Err(failure.into()),
            }
            match self.client.call(&terminate).await {
                Ok(changed) => {
                    let over =
                        changed.instances.iter().any(|change| change.current_state.name == "terminated");
                    return if over { Ok(true) } else { self.ended(id).await.map(|()| true) };
                }
                Err(failure) if failure.is(Meaning::Missing) => return Ok(false),
                // The protection is not off everywhere yet.
                Err(failure) if failure.is(Meaning::Protected) => {
                    if waits.again("it was protected").await.is_err() {
                        return Err(failure.into());
                    }
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    async fn ended(&self, id: &str) -> Result<()> {
        let first = Duration::from_secs(5);
        let mut waits = Patience { first, ..Patience::of(HELD) }.begin(&*self.client.clock);
        loop {
            waits.again(&format!("the instance {id} had not ended")).await?;
            let found = self.instances(vec![Filter::new("instance-id", id)]).await?;
            if found.iter().all(|instance| instance.instance_state.name == "terminated") {
                return Ok(());
            }
        }
    }
}

/// Returns the name in the ID of something that has no other.
fn name_in(id: &str) -> &str {
    id.split_once('/').map_or(id, |(_, name)| name)
}
