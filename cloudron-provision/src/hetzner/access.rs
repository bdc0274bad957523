//! The steps before the server: what the creating call refers to.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::client::{Find, Made};
use super::messages::{Named, NewFirewall, NewKey, NewNetwork, Rule, Subnet};
use super::provider::{Shared, id_of};
use crate::cloud::{Marks, codes, names};
use crate::steps::{Check, Context, Step, Undo};

/// The most characters of a name.
const NAME: usize = 128;

/// Returns the name of a machine's firewall and network.
pub(super) fn name_of(fqdn: &str) -> String {
    names::parts(fqdn, NAME)
}

/// Returns the output of something that was made or found.
fn output(named: &Named) -> Value {
    json!({ "id": named.id, "name": named.name })
}

/// `ssh-key`: Hetzner knows the public key. Without one, it would set a password and send it by mail. A key that the
/// project has already is used and left.
///
/// Output: `{"id": …, "name": …, "made": …}`.
pub(super) struct Key(pub(super) Arc<Shared>);

impl Key {
    async fn find(&self) -> Result<Option<Named>> {
        let wanted = self.0.settings.key_body();
        let found = self.0.client.named("ssh_keys", "").await?;
        Ok(found.into_iter().find(|key| key.public_key.split_whitespace().nth(1) == Some(wanted)))
    }

    /// Returns true if this run created the key.
    fn made(context: &Context, key: &Named) -> bool {
        Marks::from_labels(&key.labels).is_some_and(|marks| marks.is_of(context))
    }
}

#[async_trait]
impl Step for Key {
    fn id(&self) -> &'static str {
        "ssh-key"
    }

    fn plan(&self) -> String {
        "Add the SSH key to the project, if it is missing".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        Ok(match self.find().await? {
            Some(key) => {
                Check::Done(json!({ "id": key.id, "name": key.name, "made": Self::made(context, &key) }))
            }
            None => Check::Absent,
        })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        self.0.settings.clone().check()?;
        let name = format!("cloudron-{}", names::short(self.0.settings.key_body().as_bytes(), 12));
        let labels = self.0.marks(context)?.to_labels();
        let body = NewKey { name: &name, public_key: &self.0.settings.public_key, labels };
        let key = match self.0.client.create("ssh_keys", "ssh_key", &body, &|| Box::pin(self.find())).await? {
            Made::New(key) | Made::There(key) => key,
        };
        Ok(json!({ "id": key.id, "name": key.name, "made": Self::made(context, &key) }))
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        match self.find().await? {
            Some(key) if Self::made(context, &key) => self.0.client.delete("ssh_keys", key.id).await?,
            _ => {}
        }
        Ok(Undo::Undone)
    }
}

/// `firewall` and `network`, which are looked up by their marks.
pub(super) struct Marked {
    pub(super) shared: Arc<Shared>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Firewall,
    Network,
}

impl Kind {
    fn one(self) -> &'static str {
        match self {
            Self::Firewall => "firewall",
            Self::Network => "network",
        }
    }

    fn list(self) -> &'static str {
        match self {
            Self::Firewall => "firewalls",
            Self::Network => "networks",
        }
    }
}

impl Marked {
    /// Finds what carries the marks of this machine; the error names another run.
    async fn find(&self, context: &Context) -> Result<Option<Named>> {
        let found = self.shared.client.marked(self.kind.list(), context.fqdn()).await?;
        match found.iter().find(|named| self.shared.owns(context, &named.labels)) {
            Some(ours) => Ok(Some(ours.clone())),
            None => match found.first() {
                Some(other) => Err(self.foreign(other)),
                None => Ok(None),
            },
        }
    }

    fn foreign(&self, other: &Named) -> Error {
        self.shared.foreign(self.kind.one(), &other.name, &other.labels)
    }

    async fn create(&self, context: &Context) -> Result<Made<Named>> {
        let (name, labels) = (name_of(context.fqdn()), self.shared.marks(context)?.to_labels());
        let client = &self.shared.client;
        let find: Find<'_> = &|| Box::pin(self.find(context));
        match self.kind {
            Kind::Firewall => {
                let body = NewFirewall { name: &name, labels, rules: rules() };
                client.create("firewalls", "firewall", &body, find).await
            }
            Kind::Network => {
                let zone = self.shared.network_zone().await?;
                let subnet = Subnet { kind: "cloud", ip_range: "10.0.0.0/24", network_zone: &zone };
                let body = NewNetwork { name: &name, ip_range: "10.0.0.0/16", subnets: [subnet], labels };
                client.create("networks", "network", &body, find).await
            }
        }
    }
}

#[async_trait]
impl Step for Marked {
    fn id(&self) -> &'static str {
        self.kind.one()
    }

    fn plan(&self) -> String {
        match self.kind {
            Kind::Firewall => "Make a firewall that opens the ports 22, 80, 202 and 443, and ICMP".into(),
            Kind::Network => "Make a private network".into(),
        }
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
        match self.create(context).await {
            Ok(Made::New(named) | Made::There(named)) => Ok(output(&named)),
            Err(e) if e.is(&codes::TAKEN) => {
                let message =
                    format!("the project has a {} {} already", self.kind.one(), name_of(context.fqdn()));
                Err(Error::new(&crate::codes::STEP_FOREIGN, message).with_source(e))
            }
            Err(e) => Err(e),
        }
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        for found in self.shared.client.marked(self.kind.list(), context.fqdn()).await? {
            let marks = Marks::from_labels(&found.labels);
            if !marks.is_some_and(|marks| marks.is_of(context)) {
                return Ok(Undo::Kept(self.foreign(&found).message().to_owned()));
            }
            self.shared.client.delete(self.kind.list(), found.id).await?;
        }
        Ok(Undo::Undone)
    }
}

/// Returns the ID of what a step made.
pub(super) fn made_by(context: &Context, step: &str) -> Result<u64> {
    context
        .output(step)
        .as_ref()
        .and_then(id_of)
        .ok_or_else(|| Error::new(&codes::NOT_FOUND, format!("the step `{step}` has no output")))
}

fn rules() -> Vec<Rule> {
    let rule = |protocol, port, description| {
        let source_ips = ["0.0.0.0/0", "::/0"];
        Rule { direction: "in", protocol, port, source_ips, description }
    };
    vec![
        rule("tcp", Some("22"), "SSH"),
        rule("tcp", Some("202"), "SSH of a finished machine"),
        rule("tcp", Some("80"), "HTTP"),
        rule("tcp", Some("443"), "HTTPS"),
        rule("icmp", None, "ICMP"),
    ]
}
