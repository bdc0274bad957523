//! The step `machine`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::client::{Find, Made, vanished};
use super::messages::{Droplet, NewDroplet};
use super::names;
use super::provider::{Shared, marks_of};
use crate::cloud::names::{machine, shown};
use crate::cloud::{HostKeys, Marks, OneTimeKey, Patience, cloud_config, codes};
use crate::steps::{Check, Context, Step, Undo};

/// The most bytes of user-data.
const USER_DATA: usize = 64 << 10;
/// How long a droplet may take to be made.
const START: Duration = Duration::from_secs(300);
/// How long a new droplet, its action and its tags may be unknown.
const UNKNOWN: Duration = Duration::from_secs(120);

/// `machine`: one creating call with the key, the marks and the host key for the first contact; the firewall is bound to one
/// of the marks.
///
/// Output: `{"id": …, "name": …, "ipv4": …, "ipv6": …, "one_time_key": …, "host_key": …, "run": …, "tags": […]}`.
pub(super) struct MakeDroplet(pub(super) Arc<Shared>);

impl MakeDroplet {
    /// Finds the droplet of this run, by its tag, which may be listed late, and by its name. The error names another one.
    async fn find(&self, context: &Context) -> Result<Option<Droplet>> {
        let word = self.0.word(&self.0.marks(context)?)?;
        let tagged = self.0.client.droplets_tagged(&word).await?;
        match tagged.into_iter().find(|droplet| self.0.owns(context, &droplet.tags)) {
            Some(ours) => Ok(Some(ours)),
            None => self.named(context, true).await,
        }
    }

    /// Finds the droplet of this run by its name. One that has no marks is about to get them, if it may be ours.
    async fn named(&self, context: &Context, may_be_ours: bool) -> Result<Option<Droplet>> {
        let clock = &*self.0.client.rest.clock;
        let mut waits = Patience::of(UNKNOWN).begin(clock);
        loop {
            let found = self.0.client.droplets_named(&machine(context.fqdn())).await?;
            if let Some(ours) = found.iter().find(|droplet| self.0.owns(context, &droplet.tags)) {
                return Ok(Some(ours.clone()));
            }
            let Some(other) = found.first() else { return Ok(None) };
            let patient = marks_of(&other.tags).is_none() && may_be_ours;
            if !patient || waits.again("a droplet had no tags").await.is_err() {
                return Err(self.0.foreign("droplet", &other.name, &other.tags));
            }
        }
    }

    /// Waits until a droplet runs, by the action that makes it if it is known, and returns the step's output.
    async fn settled(&self, context: &Context, id: u64, action: Option<u64>) -> Result<Value> {
        let clock = &*self.0.client.rest.clock;
        let mut waits = Patience { first: Duration::from_secs(5), ..Patience::of(START) }.begin(clock);
        let start = clock.monotonic();
        if action.is_some() {
            // None is made sooner.
            clock.sleep(Duration::from_secs(10)).await;
        }
        loop {
            context.cancel.check()?;
            let known = match action {
                Some(action) => self.done(action).await?,
                None => self.running(id).await?,
            };
            match known {
                Some(true) => break,
                None if clock.monotonic().saturating_sub(start) > UNKNOWN => {
                    return Err(vanished(&format!("the droplet {id}")));
                }
                _ => waits.again("the droplet was not made").await?,
            }
        }
        let droplet = self.complete(id).await?;
        let reserved = match self.0.settings.reserved_ip {
            true => {
                let run = context.run().to_lowercase();
                Some(self.0.reserve(&droplet, &run, action.is_some()).await?)
            }
            false => None,
        };
        output(&droplet, reserved)
    }

    /// Returns a droplet as soon as it has its tags and an address.
    async fn complete(&self, id: u64) -> Result<Droplet> {
        let mut waits = Patience::of(UNKNOWN).begin(&*self.0.client.rest.clock);
        loop {
            match self.0.client.droplet(id).await? {
                Some(droplet) if marks_of(&droplet.tags).is_some() && !addresses(&droplet).is_empty() => {
                    return Ok(droplet);
                }
                Some(_) => waits.again("the droplet had no tags or no address").await?,
                None => waits.again("the droplet was not found").await?,
            }
        }
    }

    /// Looks whether a droplet runs; none if it is not known yet.
    async fn running(&self, id: u64) -> Result<Option<bool>> {
        let Some(droplet) = self.0.client.droplet(id).await? else { return Ok(None) };
        match &*droplet.status {
            "active" => Ok(Some(true)),
            "new" => Ok(Some(false)),
            other => {
                let state: String = other.chars().filter(char::is_ascii_lowercase).take(20).collect();
                let message = format!("the droplet is in the state `{state}` and does not start by itself");
                Err(Error::new(&codes::REFUSED, message))
            }
        }
    }

    /// Looks whether an action has succeeded; none if it is not known yet.
    async fn done(&self, action: u64) -> Result<Option<bool>> {
        let Some(now) = self.0.client.action(action).await? else { return Ok(None) };
        match &*now.status {
            "completed" => Ok(Some(true)),
            "errored" => {
                let message = "the droplet could not be made: its action failed, and DigitalOcean gives no reason. \
                               The region may have no place for this size now";
                Err(Error::new(&codes::CAPACITY, message).retryable(false))
            }
            _ => Ok(Some(false)),
        }
    }

    /// Returns the droplet that the journal names, or finds it.
    async fn present(&self, context: &Context, may_exist: bool) -> Result<Option<Droplet>> {
        let recorded = context.previous(self.id()).and_then(|output| output.get("id")?.as_u64());
        if let Some(id) = recorded
            && let Some(droplet) = self.0.client.droplet(id).await?
            && self.0.owns(context, &droplet.tags)
        {
            return Ok(Some(droplet));
        }
        match may_exist {
            true => self.find(context).await,
            false => self.named(context, false).await,
        }
    }
}

#[async_trait]
impl Step for MakeDroplet {
    fn id(&self) -> &'static str {
        crate::cloud::MACHINE
    }

    fn plan(&self) -> String {
        let settings = &self.0.settings;
        format!("Make a droplet {} in {} with {}", settings.size, settings.region, settings.image)
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        let may_exist = self.0.adopt || context.attempts(self.id()) > 0;
        let droplet = match self.present(context, may_exist).await {
            Ok(Some(droplet)) => droplet,
            Ok(None) => return Ok(Check::Absent),
            Err(e) if e.is(&crate::codes::STEP_FOREIGN) => return Ok(Check::Foreign(e.message().to_owned())),
            Err(e) => return Err(e),
        };
        if droplet.status == "active" && !self.0.settings.reserved_ip && !addresses(&droplet).is_empty() {
            return output(&droplet, None).map(Check::Done);
        }
        self.settled(context, droplet.id, None).await.map(Check::Done)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let (settings, name) = (&self.0.settings, machine(context.fqdn()));
        let key = OneTimeKey::generate();
        let user_data = cloud_config(&key, std::slice::from_ref(&settings.public_key), USER_DATA)?;
        let marks = self.0.marks(context)?.with_keys(HostKeys::one_time(key.public()));
        let mut tags = vec![self.0.word(&marks)?];
        tags.extend(marks.key_words());
        tags.extend(settings.reserved_ip.then(|| names::reserved_word(&marks.run)));
        let body = NewDroplet {
            name: &name,
            region: &settings.region,
            size: &settings.size,
            image: &settings.image,
            ssh_keys: [made_by(context, "ssh-key")?],
            ipv6: settings.ipv6,
            monitoring: false,
            with_droplet_agent: false,
            tags,
            user_data: user_data.expose(),
        };
        let find: Find<'_, Droplet> = &|| Box::pin(self.find(context));
        let made = match self.0.client.create("/v2/droplets", "droplet", &body, find).await? {
            Made::New(droplet, action) => self.settled(context, droplet.id, action).await,
            Made::There(droplet) => self.settled(context, droplet.id, None).await,
        };
        if let Err(e) = &made
            && e.is(&codes::CAPACITY)
        {
            // The droplet goes by itself; its tags stay.
            self.0.sweep(&marks.run).await?;
        }
        made
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let find: Find<'_, Droplet> = &|| Box::pin(self.present(context, true));
        match self.0.client.look(find).await {
            Ok(Some(droplet)) => self.0.delete_droplet(&droplet, None).await.map(|()| Undo::Undone),
            Ok(None) => {
                // A creation that was refused may have made its tags.
                self.0.sweep(&context.run().to_lowercase()).await?;
                Ok(Undo::Undone)
            }
            Err(e) if e.is(&crate::codes::STEP_FOREIGN) => Ok(Undo::Kept(e.message().to_owned())),
            Err(e) => Err(e),
        }
    }
}

/// Returns the ID of what a step made.
fn made_by(context: &Context, step: &str) -> Result<u64> {
    let id = context.output(step).and_then(|output| output.get("id")?.as_u64());
    id.ok_or_else(|| Error::new(&codes::NOT_FOUND, format!("the step `{step}` has no output")))
}

/// Returns the public addresses of a droplet, IPv4 first.
pub(super) fn addresses(droplet: &Droplet) -> Vec<IpAddr> {
    let public = |list: &[super::messages::Network]| {
        list.iter().filter(|n| n.kind == "public").map(|n| n.ip_address.clone()).collect::<Vec<_>>()
    };
    let v4 = public(&droplet.networks.v4).into_iter().filter_map(|ip| ip.parse::<Ipv4Addr>().ok());
    let v6 = public(&droplet.networks.v6).into_iter().filter_map(|ip| ip.parse::<Ipv6Addr>().ok());
    v4.map(IpAddr::from).chain(v6.map(IpAddr::from)).collect()
}

fn output(droplet: &Droplet, reserved: Option<Ipv4Addr>) -> Result<Value> {
    let unusable =
        |what: &str| Error::new(&codes::DOWN, format!("the droplet {} has no usable {what}", droplet.id));
    let marks: Marks = marks_of(&droplet.tags).ok_or_else(|| unusable("marks"))?;
    let addresses = addresses(droplet);
    let ipv4 = reserved.map(IpAddr::from).or_else(|| addresses.iter().find(|ip| ip.is_ipv4()).copied());
    let ipv6 = addresses.iter().find(|ip| ip.is_ipv6());
    let tags: Vec<&String> =
        droplet.tags.iter().filter(|tag| tag.starts_with("cloudron:")).take(20).collect();
    if ipv4.is_none() && ipv6.is_none() {
        return Err(unusable("address"));
    }
    Ok(json!({
        "id": droplet.id, "name": shown(&droplet.name), "ipv4": ipv4, "ipv6": ipv6, "run": marks.run,
        "tags": tags, "one_time_key": marks.keys.one_time, "host_key": marks.keys.lasting,
    }))
}
