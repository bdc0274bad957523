//! The step `machine`, and the marks of a server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::access::made_by;
use super::client::{Client, Find, Made};
use super::messages::{Action, FirewallOf, Labels, Named, NewServer, ReverseName, Server};
use super::provider::{Shared, id_of};
use crate::cloud::{HostKeys, Marks, OneTimeKey, Patience, WriteKeys, cloud_config, codes, names};
use crate::steps::{Check, Context, Outputs, Step, Undo};

/// The most bytes of user-data.
const USER_DATA: usize = 32 << 10;
/// How long a server may take to be started.
const START: Duration = Duration::from_secs(300);

/// `machine`: one creating call with the key, the firewall, the marks and the host key for the first contact.
///
/// Output: `{"id": …, "name": …, "ipv4": …, "ipv6": …, "one_time_key": …, "host_key": …, "run": …, "labels": {…}}`.
pub(super) struct MakeServer(pub(super) Arc<Shared>);

impl MakeServer {
    async fn find(&self, context: &Context) -> Result<Option<Server>> {
        self.0.client.server_named(&names::machine(context.fqdn())).await
    }

    fn check_owner(&self, context: &Context, server: &Server) -> Result<()> {
        if self.0.owns(context, &server.labels) {
            return Ok(());
        }
        Err(self.0.foreign("server", &server.name, &server.labels))
    }

    /// Waits until a server runs that this call or an earlier one made, and returns the step's output.
    async fn settled(&self, context: &Context, server: Server, action: Option<Action>) -> Result<Value> {
        let mut waits = Patience::of(START).begin(&*context.clock);
        loop {
            context.cancel.check()?;
            let done = match &action {
                Some(action) => self.done(action).await?.then(|| server.clone()),
                None => self.running(server.id).await?,
            };
            if let Some(server) = done {
                return output(&server);
            }
            waits.again("the server was not started").await?;
        }
    }

    /// Looks whether a server runs.
    async fn running(&self, id: u64) -> Result<Option<Server>> {
        let server = self.0.client.server(id).await?.ok_or_else(|| vanished(id))?;
        match &*server.status {
            "running" => Ok(Some(server)),
            "initializing" | "starting" => Ok(None),
            other => {
                let state: String = other.chars().filter(char::is_ascii_lowercase).take(20).collect();
                let message = format!("the server is in the state `{state}` and does not start by itself");
                Err(Error::new(&codes::REFUSED, message))
            }
        }
    }

    /// Looks whether an action has succeeded.
    async fn done(&self, action: &Action) -> Result<bool> {
        let Some(now) = self.0.client.action(action.id).await? else {
            return Err(Error::new(&codes::NOT_FOUND, format!("the action {} does not exist", action.id)));
        };
        match &*now.status {
            "success" => Ok(true),
            "error" => {
                let complaint = now.error.unwrap_or_default();
                let said =
                    self.0.client.rest.printable(&format!("{} [{}]", complaint.message, complaint.code));
                Err(Error::new(&codes::REFUSED, format!("the server could not be made{said}")))
            }
            _ => Ok(false),
        }
    }
}

#[async_trait]
impl Step for MakeServer {
    fn id(&self) -> &'static str {
        "machine"
    }

    fn plan(&self) -> String {
        let settings = &self.0.settings;
        format!("Make a server {} in {} with {}", settings.server_type, settings.location, settings.image)
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        let previous = context.previous(self.id());
        // Before the first attempt, the unique name tells whether the server exists.
        if previous.is_none() && context.attempts(self.id()) == 0 && !self.0.adopt {
            return Ok(Check::Absent);
        }
        let Some(server) = self.find(context).await? else { return Ok(Check::Absent) };
        if let Err(foreign) = self.check_owner(context, &server) {
            return Ok(Check::Foreign(foreign.message().to_owned()));
        }
        let firewall = made_by(context, "firewall")?;
        if !server.public_net.firewalls.iter().any(|applied| applied.id == firewall) {
            let message =
                format!("the server {} does not have the firewall that was made for it", server.name);
            return Ok(Check::Foreign(cloudron_core::escape::line(&message).into_owned()));
        }
        if server.status == "running" {
            return output(&server).map(Check::Done);
        }
        self.settled(context, server, None).await.map(Check::Done)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let (settings, name) = (&self.0.settings, names::machine(context.fqdn()));
        let key = OneTimeKey::generate();
        let user_data = cloud_config(&key, std::slice::from_ref(&settings.public_key), USER_DATA)?;
        let marks = self.0.marks(context)?.with_keys(HostKeys::one_time(key.public()));
        let networks = if settings.network { vec![made_by(context, "network")?] } else { Vec::new() };
        let body = NewServer {
            name: &name,
            server_type: &settings.server_type,
            image: &settings.image,
            location: &settings.location,
            ssh_keys: [made_by(context, "ssh-key")?],
            firewalls: [FirewallOf { firewall: made_by(context, "firewall")? }],
            networks,
            labels: marks.to_labels(),
            user_data: user_data.expose(),
            start_after_create: true,
        };
        let find: Find<'_> = &|| Box::pin(async { Ok(self.find(context).await?.map(named)) });
        match self.0.client.create_server(&body, find).await? {
            Made::New(created) => self.settled(context, created.server, Some(created.action)).await,
            Made::There(found) => {
                let server = self.0.client.server(found.id).await?.ok_or_else(|| vanished(found.id))?;
                self.check_owner(context, &server)?;
                self.settled(context, server, None).await
            }
        }
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let Some(server) = self.find(context).await? else { return Ok(Undo::Undone) };
        let ours = |marks: &Marks| marks.is_of(context);
        if !Marks::from_labels(&server.labels).is_some_and(|marks| ours(&marks)) {
            let foreign = self.0.foreign("server", &server.name, &server.labels);
            return Ok(Undo::Kept(foreign.message().to_owned()));
        }
        self.0.client.delete("servers", server.id).await?;
        Ok(Undo::Undone)
    }
}

fn vanished(id: u64) -> Error {
    Error::new(&codes::NOT_FOUND, format!("the server {id} does not exist any more"))
}

fn named(server: Server) -> Named {
    Named { id: server.id, name: server.name, labels: server.labels, public_key: String::new() }
}

/// Returns the public addresses of a server, IPv4 first.
pub(super) fn addresses(server: &Server) -> Vec<IpAddr> {
    let net = &server.public_net;
    let ipv4 = net.ipv4.as_ref().and_then(|a| a.ip.parse::<Ipv4Addr>().ok());
    // Hetzner gives a network; the server has its first address.
    let ipv6 = net.ipv6.as_ref().and_then(|a| a.ip.split('/').next()?.parse::<Ipv6Addr>().ok());
    let ipv6 = ipv6.map(|network| Ipv6Addr::from(u128::from(network) | 1));
    ipv4.map(IpAddr::from).into_iter().chain(ipv6.map(IpAddr::from)).collect()
}

/// Names the addresses of the server that the step `machine` made.
pub(super) async fn name_addresses(client: &Client, outputs: &Outputs, name: Option<&str>) -> Result<()> {
    let none = || Error::new(&codes::NOT_FOUND, "the step `machine` has no output");
    let machine = outputs.get("machine").ok_or_else(none)?;
    // An ID that was read from the marks is a text.
    let id = machine["id"].as_u64().or_else(|| machine["id"].as_str()?.parse().ok()).ok_or_else(none)?;
    let addresses =
        ["ipv4", "ipv6"].iter().filter_map(|kind| machine[*kind].as_str()?.parse::<IpAddr>().ok());
    for ip in addresses {
        client.name_address(id, &ReverseName { ip, dns_ptr: name }).await?;
    }
    Ok(())
}

fn output(server: &Server) -> Result<Value> {
    let unusable =
        |what: &str| Error::new(&codes::DOWN, format!("the server {} has no usable {what}", server.id));
    let marks = Marks::from_labels(&server.labels).ok_or_else(|| unusable("marks"))?;
    let addresses = addresses(server);
    if addresses.is_empty() {
        return Err(unusable("address"));
    }
    let ipv4 = addresses.iter().find(|address| address.is_ipv4());
    let ipv6 = addresses.iter().find(|address| address.is_ipv6());
    Ok(json!({
        "id": server.id, "name": server.name, "ipv4": ipv4, "ipv6": ipv6, "run": marks.run, "labels": server.labels,
        "region": server.location.as_ref().map(|location| &location.name),
        "one_time_key": marks.keys.one_time, "host_key": marks.keys.lasting,
    }))
}

/// Writes the host keys into the labels of the server.
pub(super) struct ServerLabels(pub(super) Arc<Shared>);

#[async_trait]
impl WriteKeys for ServerLabels {
    async fn write_keys(&self, context: &Context, keys: &HostKeys) -> Result<()> {
        let server = context.output("machine").unwrap_or_default();
        let labels: Labels = serde_json::from_value(server["labels"].clone()).unwrap_or_default();
        let marks = Marks::from_labels(&labels);
        let (Some(id), Some(marks)) = (id_of(&server), marks) else {
            return Err(Error::new(&codes::NOT_FOUND, "the step `machine` has no output"));
        };
        let mut all = Marks::other_labels(&labels);
        all.extend(marks.with_keys(keys.clone()).to_labels());
        self.0.client.label_server(id, all).await
    }
}
