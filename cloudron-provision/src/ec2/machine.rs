//! The step `machine`, and the marks of an instance.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::kind::Kind;
use super::launch::{full, own_address, token};
use super::shared::{Find, Shared, foreign_run, id_of, made_by, marks_of, of_domain, shown};
use super::{AssociateAddress, CreateTags, DescribeInstances, Instance, Meaning, RunInstances, Tag};
use crate::cloud::{HostKeys, MACHINE, Patience, WriteKeys, codes};
use crate::steps::{Check, Context, Step, Undo};

/// How long an instance may take to be started. The first look is after the time that most take.
const START: Patience = Patience {
    first: Duration::from_secs(5),
    most: Duration::from_secs(10),
    limit: Duration::from_secs(300),
};
/// The states of an instance that exists.
pub(super) const ALIVE: [&str; 4] = ["pending", "running", "stopping", "stopped"];

/// `machine`: one request with the group, the marks and the host key for the first contact. Its client token makes it safe
/// to repeat on any computer; where a zone has no room, the next one is tried with another token.
///
/// Output: `{"id": …, "name": …, "ipv4": …, "ipv6": …, "user": …, "zone": …, "one_time_key": …, "host_key": …, "run": …}`.
pub(super) struct MakeInstance(pub(super) Arc<Shared>);

impl MakeInstance {
    /// Lists the instances of this machine that exist, and counts those of this run that have ended.
    async fn all(&self, context: &Context) -> Result<(Vec<Instance>, usize)> {
        let filters = vec![of_domain(context.fqdn())];
        let found = self.0.client.all(&DescribeInstances { filters, ..DescribeInstances::default() }).await?;
        let instances = found.into_iter().flat_map(|found| found.instances.item);
        let (there, ended): (Vec<_>, Vec<_>) =
            instances.partition(|instance| ALIVE.contains(&&*instance.instance_state.name));
        let of_run = |i: &&Instance| marks_of(&i.tags).is_some_and(|marks| marks.is_of(context));
        Ok((there, ended.iter().filter(of_run).count()))
    }

    async fn find(&self, context: &Context) -> Result<Option<Instance>> {
        let (there, _) = self.all(context).await?;
        self.0.ours(context, "instance", there, |instance| &instance.tags)
    }

    /// Looks at an instance, and whether another run made one for this machine meanwhile.
    async fn by_id(&self, context: &Context, id: &str) -> Result<Option<Instance>> {
        let filters = vec![of_domain(context.fqdn())];
        let found = self.0.client.all(&DescribeInstances { filters, ..DescribeInstances::default() }).await?;
        let all: Vec<Instance> = found.into_iter().flat_map(|found| found.instances.item).collect();
        let others = all.iter().filter(|instance| ALIVE.contains(&&*instance.instance_state.name));
        let other = others
            .filter_map(|instance| marks_of(&instance.tags))
            .find(|marks| marks.fqdn == context.fqdn() && !self.0.owns(context, marks));
        match other {
            Some(marks) => Err(foreign_run("instance", &marks)),
            None => Ok(all.into_iter().find(|instance| instance.instance_id == id)),
        }
    }

    /// Waits until an instance runs, and returns the step's output. A new one may not be listed yet.
    async fn settled(&self, context: &Context, id: &str, mut seen: Option<Instance>) -> Result<Value> {
        if Kind::of(id) != Some(Kind::Instance) {
            return Err(vanished(id));
        }
        let mut waits = START.begin(&*self.0.client.clock);
        let address = own_address(context);
        loop {
            context.cancel.check()?;
            if let Some(instance) = &seen {
                match &*instance.instance_state.name {
                    "running" if address.is_some() || !addresses(instance).is_empty() => break,
                    "running" | "pending" | "" => {}
                    "terminated" | "shutting-down" => return Err(ended(instance)),
                    state => {
                        let message = format!("the instance {id} is {}", shown(state));
                        return Err(Error::new(&codes::STATE, message));
                    }
                }
            }
            waits.again(&format!("the instance {id} was not started")).await?;
            seen = self.by_id(context, id).await?;
        }
        let instance = seen.ok_or_else(|| vanished(id))?;
        if let Some((allocation_id, ipv4)) = &address
            && ipv4.as_str() != instance.public_ip.as_deref()
        {
            self.0
                .ensure(&AssociateAddress {
                    allocation_id: allocation_id.clone(),
                    instance_id: id.into(),
                    allow_reassociation: false,
                })
                .await?;
        }
        output(&instance, address.map(|(_, ipv4)| ipv4))
    }

    /// Waits for the instance that an earlier request with the same token started.
    async fn of_token(&self, context: &Context) -> Result<Instance> {
        let mut waits = Patience::of(Duration::from_secs(300)).begin(&*self.0.client.clock);
        loop {
            if let Some(found) = self.find(context).await? {
                return Ok(found);
            }
            waits.again("an instance was started by an earlier request and was not listed").await?;
        }
    }

    /// Tries one place after the other.
    async fn start(&self, context: &Context, round: usize) -> Result<Instance> {
        let request = self.0.launch(context).await?;
        let mut tried = Vec::new();
        for place in self.0.candidates(context).await? {
            context.cancel.check()?;
            let request = RunInstances {
                client_token: token(&context.run(), &place.subnet, round),
                network_interfaces: vec![self.0.interface(context, &place).await?],
                ..request.clone()
            };
            match self.0.start(&request).await {
                Ok(started) => {
                    let first = started.instances.item.into_iter().next();
                    return first.ok_or_else(|| vanished("that was started"));
                }
                Err(failure) if failure.is(Meaning::NoCapacity) => tried.push((place.zone, failure.name)),
                Err(failure) if failure.is(Meaning::TokenReused) => return self.of_token(context).await,
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(full(&self.0.settings.instance_type, &tried))
    }
}

#[async_trait]
impl Step for MakeInstance {
    fn id(&self) -> &'static str {
        MACHINE
    }

    fn plan(&self) -> String {
        let settings = &self.0.settings;
        let image = settings.image.as_deref().unwrap_or("Debian 12");
        format!("Start an instance {} in {} with {image}", settings.instance_type, settings.region)
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        let previous = context.previous(self.id());
        let doubt = self.0.in_doubt(context, self.id());
        // The name of the group tells whether another run works on this machine.
        let exclusive = context.output("firewall").is_some_and(|output| output["made"] == true);
        if previous.is_none() && !doubt && exclusive {
            return Ok(Check::Absent);
        }
        let find: Find<'_, Instance> = &|| Box::pin(self.find(context));
        let found = match previous.is_none() && doubt {
            true => self.0.find_in_doubt(find).await,
            false => self.find(context).await,
        };
        let instance = match found {
            Ok(Some(instance)) => instance,
            Ok(None) => return Ok(Check::Absent),
            Err(e) if e.is(&crate::codes::STEP_FOREIGN) => return Ok(Check::Foreign(e.message().to_owned())),
            Err(e) => return Err(e),
        };
        let group = made_by(context, "firewall")?;
        let mut groups = instance.network_interfaces.iter().flat_map(|interface| &interface.groups);
        if !groups.any(|known| known.group_id == group) {
            let message = format!(
                "the instance {} does not have the security group {group}",
                shown(&instance.instance_id)
            );
            return Ok(Check::Foreign(message));
        }
        let id = instance.instance_id.clone();
        self.settled(context, &id, Some(instance)).await.map(Check::Done)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        // In doubt, instances that have ended are counted: their tokens cannot be used again.
        let round = match self.0.in_doubt(context, self.id()) || context.previous(self.id()).is_some() {
            true => self.all(context).await?.1,
            false => 0,
        };
        let instance = self.start(context, round).await?;
        // It is looked at in any case: another run may have made one.
        self.settled(context, &instance.instance_id, None).await
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.0.undo(context, Kind::Instance, output).await?;
        Ok(Undo::Undone)
    }
}

fn vanished(id: &str) -> Error {
    Error::new(&codes::NOT_FOUND, format!("the instance {} does not exist", shown(id)))
}

/// Returns the error for an instance that ended while it was started.
fn ended(instance: &Instance) -> Error {
    let reason = &instance.state_reason;
    let code = if reason.code.contains("Capacity") { &codes::CAPACITY } else { &codes::REFUSED };
    let said = format!("{} [{}]", reason.message, reason.code);
    let message = format!("the instance {} has ended: {said}", instance.instance_id);
    Error::new(code, shown(&message)).retryable(false)
}

/// Returns the public addresses of an instance, IPv4 first.
pub(super) fn addresses(instance: &Instance) -> Vec<IpAddr> {
    let ipv4 = instance.public_ip.as_deref().and_then(|ip| ip.parse::<Ipv4Addr>().ok());
    let ipv6 = instance.ipv6().and_then(|ip| ip.parse::<Ipv6Addr>().ok());
    ipv4.map(IpAddr::from).into_iter().chain(ipv6.map(IpAddr::from)).collect()
}

fn output(instance: &Instance, own_address: Option<Value>) -> Result<Value> {
    let marks = marks_of(&instance.tags).ok_or_else(|| {
        let message = format!("the instance {} has no usable marks", shown(&instance.instance_id));
        Error::new(&codes::DOWN, message)
    })?;
    let addresses = addresses(instance);
    let ipv4 = own_address.unwrap_or_else(|| json!(addresses.iter().find(|address| address.is_ipv4())));
    let ipv6 = addresses.iter().find(|address| address.is_ipv6());
    Ok(json!({
        "id": instance.instance_id, "name": instance.tags.value("Name"), "ipv4": ipv4, "ipv6": ipv6,
        "run": marks.run, "user": marks.user, "zone": instance.placement.availability_zone,
        "one_time_key": marks.keys.one_time, "host_key": marks.keys.lasting,
    }))
}

/// Writes the host keys into the tags of the instance. A tag without a value stands for no key, so that one call is enough.
pub(super) struct InstanceTags(pub(super) Arc<Shared>);

#[async_trait]
impl WriteKeys for InstanceTags {
    async fn write_keys(&self, context: &Context, keys: &HostKeys) -> Result<()> {
        let id = context.output(MACHINE).as_ref().and_then(id_of);
        let id = id.ok_or_else(|| Error::new(&codes::NOT_FOUND, "the step `machine` has no output"))?;
        let value = |key: &Option<String>| key.clone().unwrap_or_default();
        let tags = vec![
            Tag::new("cloudron:one-time-key", value(&keys.one_time)),
            Tag::new("cloudron:host-key", value(&keys.lasting)),
        ];
        self.0.ensure(&CreateTags { resources: vec![id], tags }).await?;
        Ok(())
    }
}
