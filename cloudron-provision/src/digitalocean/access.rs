//! The steps before the droplet: the key that may log in, and the firewall.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::client::{Find, Made};
use super::messages::{self, Addresses, Firewall, Inbound, NewFirewall, NewKey, Outbound};
use super::names;
use super::provider::Shared;
use crate::cloud::codes;
use crate::cloud::names::{key_body, shown};
use crate::steps::{Check, Context, Step, Undo};

/// `ssh-key`: the account has the public key. Without one, DigitalOcean would set a password and send it by mail. A key that
/// the account has already is used and left.
///
/// Output: `{"id": …, "name": …, "made": …}`.
pub(super) struct Key(pub(super) Arc<Shared>);

impl Key {
    async fn find(&self) -> Result<Option<messages::Key>> {
        self.0.client.key(&self.0.settings.public_key).await
    }

    /// Returns true if this run created the key.
    fn made(&self, context: &Context, key: &messages::Key) -> Result<bool> {
        let marks = self.0.marks(context)?;
        Ok(key.name == names::key(&marks, key_body(&self.0.settings.public_key)))
    }

    fn output(&self, context: &Context, key: &messages::Key) -> Result<Value> {
        let made = self.made(context, key)?;
        Ok(json!({ "id": key.id, "name": shown(&key.name), "made": made }))
    }
}

#[async_trait]
impl Step for Key {
    fn id(&self) -> &'static str {
        "ssh-key"
    }

    fn plan(&self) -> String {
        "Add the SSH key to the account, if it is missing".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        self.0.settings.clone().check()?;
        Ok(match self.find().await? {
            Some(key) => Check::Done(self.output(context, &key)?),
            None => Check::Absent,
        })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let public_key = &*self.0.settings.public_key;
        let name = names::key(&self.0.marks(context)?, key_body(public_key));
        let body = NewKey { name: &name, public_key };
        let find: Find<'_, messages::Key> = &|| Box::pin(self.find());
        match self.0.client.create("/v2/account/keys", "ssh_key", &body, find).await? {
            Made::New(key, _) | Made::There(key) => self.output(context, &key),
        }
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        match self.find().await? {
            Some(key) if self.made(context, &key)? => {
                self.0.client.delete(&format!("/v2/account/keys/{}", key.id)).await?;
            }
            _ => {}
        }
        Ok(Undo::Undone)
    }
}

/// `firewall`: it is bound to the tag of the machine, so that the droplet is behind it from its first moment.
///
/// Output: `{"id": …, "name": …}`.
pub(super) struct Firewalled(pub(super) Arc<Shared>);

impl Firewalled {
    /// Finds the firewall of this machine; the error names another run.
    async fn find(&self, context: &Context) -> Result<Option<Firewall>> {
        let name = names::firewall(context.fqdn());
        let found = self.0.client.firewalls().await?.into_iter().find(|firewall| firewall.name == name);
        match found {
            Some(firewall) if self.0.owns(context, firewall.tags()) => Ok(Some(firewall)),
            Some(other) => Err(self.0.foreign("firewall", &other.name, other.tags())),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Step for Firewalled {
    fn id(&self) -> &'static str {
        "firewall"
    }

    fn plan(&self) -> String {
        "Make a firewall that opens the ports 22, 80, 202 and 443, and ICMP".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        Ok(match self.find(context).await {
            Ok(Some(found)) => Check::Done(output(&found)),
            Ok(None) => Check::Absent,
            Err(e) if e.is(&crate::codes::STEP_FOREIGN) => Check::Foreign(e.message().to_owned()),
            Err(e) => return Err(e),
        })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let word = self.0.word(&self.0.marks(context)?)?;
        self.0.client.create_tag(&word).await?;
        let name = names::firewall(context.fqdn());
        let (inbound_rules, outbound_rules) = rules();
        let body = NewFirewall { name: &name, inbound_rules, outbound_rules, tags: [&word] };
        let find: Find<'_, Firewall> = &|| Box::pin(self.find(context));
        match self.0.client.create("/v2/firewalls", "firewall", &body, find).await {
            Ok(Made::New(firewall, _) | Made::There(firewall)) => Ok(output(&firewall)),
            Err(e) if e.is(&codes::TAKEN) => {
                let message = format!("the account has a firewall {name} already");
                Err(Error::new(&crate::codes::STEP_FOREIGN, message).with_source(e))
            }
            Err(e) => Err(e),
        }
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let marks = self.0.marks(context)?;
        self.0.check_empty(&marks).await?;
        let kept = match self.find(context).await {
            Ok(Some(firewall)) => {
                self.0.client.delete(&format!("/v2/firewalls/{}", firewall.id)).await?;
                None
            }
            Ok(None) => None,
            Err(e) if e.is(&crate::codes::STEP_FOREIGN) => Some(e.message().to_owned()),
            Err(e) => return Err(e),
        };
        self.0.client.delete_tag(&self.0.word(&marks)?).await?;
        Ok(kept.map_or(Undo::Undone, Undo::Kept))
    }
}

impl Firewall {
    pub(super) fn tags(&self) -> &[String] {
        self.tags.as_deref().unwrap_or_default()
    }
}

fn output(firewall: &Firewall) -> Value {
    json!({ "id": firewall.id, "name": firewall.name })
}

fn rules() -> (Vec<Inbound>, Vec<Outbound>) {
    let everywhere = || Addresses { addresses: ["0.0.0.0/0", "::/0"] };
    let inbound = [("tcp", "22"), ("tcp", "202"), ("tcp", "80"), ("tcp", "443"), ("icmp", "0")];
    // Port 0 is all ports.
    let outbound = [("tcp", "0"), ("udp", "0"), ("icmp", "0")];
    (
        inbound.map(|(protocol, ports)| Inbound { protocol, ports, sources: everywhere() }).into(),
        outbound.map(|(protocol, ports)| Outbound { protocol, ports, destinations: everywhere() }).into(),
    )
}
