//! The provider, its settings, and the cloud without a journal.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Clock, Error, Result, RetryPolicy, Secret};
use cloudron_http::HttpTransport;
use cloudron_http::rest::Rest;
use serde_json::Value;

use super::access::{Key, Kind, Marked};
use super::client::{Client, VENDOR};
use super::messages::{Labels, Named, Server};
use super::server::{self, MakeServer, ServerLabels};
use crate::cloud::names::shown;
use crate::cloud::{Cloud, Item, Login, Marks, Plan, Region, RotateHostKey, Size, codes, names};
use crate::facts::Requirements;
use crate::provider::CloudProvider;
use crate::remote::Remote;
use crate::steps::ready::FirstContact;
use crate::steps::{Context, Outputs, Step};

/// The machine to create.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The type of server: `cx23`.
    pub server_type: String,
    /// The location: `fsn1`.
    pub location: String,
    /// The image: `debian-12`.
    pub image: String,
    /// The public key that may log in, as in authorized_keys.
    pub public_key: String,
    /// True if the server gets a private network.
    pub network: bool,
}

impl Settings {
    /// The smallest type, in Falkenstein, with Debian 12 and no private network.
    pub fn new(public_key: impl Into<String>) -> Self {
        Self {
            server_type: "cx23".into(),
            location: "fsn1".into(),
            image: "debian-12".into(),
            public_key: public_key.into(),
            network: false,
        }
    }

    /// The key itself, in base 64.
    pub(super) fn key_body(&self) -> &str {
        names::key_body(&self.public_key)
    }

    pub(super) fn check(&mut self) -> Result<()> {
        // A file ends in a line break, and may hold several keys.
        self.public_key = self.public_key.trim().to_owned();
        names::public_key(&self.public_key)?;
        for (what, text) in
            [("a type", &self.server_type), ("a location", &self.location), ("an image", &self.image)]
        {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
            if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
                return Err(Error::new(&codes::SETTINGS, format!("{text:?} cannot be the name of {what}")));
            }
        }
        Ok(())
    }
}

/// The state that the steps share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) settings: Settings,
    /// True if what another run made for the same machine is used.
    pub(super) adopt: bool,
}

impl Shared {
    pub(super) fn marks(&self, context: &Context) -> Result<Marks> {
        Marks::new(context.fqdn(), &context.run())
    }

    /// Returns whether labels say that something belongs to this run, or to this machine where that is enough.
    pub(super) fn owns(&self, context: &Context, labels: &Labels) -> bool {
        Marks::from_labels(labels)
            .is_some_and(|marks| marks.is_of(context) || self.adopt && marks.fqdn == context.fqdn())
    }

    /// Returns the error for something that belongs to somebody else.
    pub(super) fn foreign(&self, kind: &str, name: &str, labels: &Labels) -> Error {
        names::foreign(kind, name, Marks::from_labels(labels).as_ref())
    }

    pub(super) async fn network_zone(&self) -> Result<String> {
        self.client.network_zone(&self.settings.location).await
    }
}

/// Makes machines at Hetzner Cloud.
pub struct Hetzner {
    pub(super) shared: Arc<Shared>,
    login: Login,
    requirements: Requirements,
}

impl Hetzner {
    /// Creates a provider with a token that may read and write. It sends nothing yet.
    ///
    /// # Errors
    /// `cloud-settings` if the settings cannot be right.
    pub fn new(
        token: Secret,
        mut settings: Settings,
        login: Login,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        settings.check()?;
        let client = Client { rest: Rest::new(&VENDOR, token, transport, clock) };
        let shared = Arc::new(Shared { client, settings, adopt: false });
        Ok(Self { shared, login, requirements: Requirements::default() })
    }

    /// Creates a provider for the machines that there are. It cannot make any: its steps fail with `cloud-settings`.
    pub fn existing(
        token: Secret,
        login: Login,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let client = Client { rest: Rest::new(&VENDOR, token, transport, clock) };
        let shared = Arc::new(Shared { client, settings: Settings::new(""), adopt: false });
        Self { shared, login, requirements: Requirements::default() }
    }

    /// Sends to another address than Hetzner's.
    ///
    /// # Errors
    /// `usage` for an address that cannot be used, or that would send the token in the clear.
    pub fn at(mut self, endpoint: &str) -> Result<Self> {
        self.inner().client.rest.set_endpoint(endpoint)?;
        Ok(self)
    }

    /// Sets how often and how long a request is repeated.
    pub fn retries(mut self, policy: RetryPolicy) -> Self {
        self.inner().client.rest.policy = policy;
        self
    }

    /// Sets whether a run uses what an earlier run made for the same machine, for a resume without its journal.
    pub fn adopting(mut self, adopt: bool) -> Self {
        self.inner().adopt = adopt;
        self.requirements.existing |= adopt;
        self
    }

    /// Sets the requirements for the machine.
    pub fn requirements(self, requirements: Requirements) -> Self {
        let existing = requirements.existing || self.shared.adopt;
        Self { requirements: Requirements { existing, ..requirements }, ..self }
    }

    fn inner(&mut self) -> &mut Shared {
        Arc::get_mut(&mut self.shared).expect("no step has been made yet")
    }
}

impl std::fmt::Debug for Hetzner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (endpoint, settings) = (&self.shared.client.rest.endpoint, &self.shared.settings);
        f.debug_struct("Hetzner")
            .field("endpoint", endpoint)
            .field("settings", settings)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CloudProvider for Hetzner {
    fn name(&self) -> &'static str {
        "hetzner"
    }

    /// Checks that the type can be made at the location now. A run that is resumed may have its server already.
    async fn preflight(&self, fqdn: &str) -> Result<()> {
        Marks::new(fqdn, &ulid::Ulid::nil().to_string())?;
        self.shared.settings.clone().check()?;
        if self.shared.adopt {
            return Ok(());
        }
        self.shared.check_offer().await.map(drop)
    }

    fn steps(&self, fqdn: &str) -> Vec<Arc<dyn Step>> {
        let shared = &self.shared;
        let mut steps: Vec<Arc<dyn Step>> = vec![
            Arc::new(Key(shared.clone())),
            Arc::new(Marked { shared: shared.clone(), kind: Kind::Firewall }),
        ];
        if shared.settings.network {
            steps.push(Arc::new(Marked { shared: shared.clone(), kind: Kind::Network }));
        }
        steps.push(Arc::new(MakeServer(shared.clone())));
        steps.push(Arc::new(FirstContact::new(names::machine(fqdn), self.requirements.clone())));
        let labels = Arc::new(ServerLabels(shared.clone()));
        steps.push(Arc::new(RotateHostKey::new(self.login.clone(), labels)));
        steps
    }

    async fn connect(&self, outputs: &Outputs) -> Result<Arc<dyn Remote>> {
        Ok(self.login.connect(outputs).await?)
    }

    async fn connect_on(&self, port: u16, outputs: &Outputs) -> Result<Arc<dyn Remote>> {
        Ok(self.login.connect_on(port, outputs).await?)
    }

    fn undone_by_login(&self) -> bool {
        false
    }
}

#[async_trait]
impl Cloud for Hetzner {
    async fn machines(&self) -> Result<Vec<Item>> {
        Ok(self.shared.client.servers("cloudron-run").await?.iter().filter_map(of_server).collect())
    }

    async fn inventory(&self, fqdn: &str) -> Result<Vec<Item>> {
        Marks::new(fqdn, &ulid::Ulid::nil().to_string())?;
        let client = &self.shared.client;
        let servers = client.servers(&Marks::label_selector(fqdn)).await?;
        let mut items: Vec<Item> = servers.iter().filter_map(of_server).collect();
        for (kind, list) in [("firewall", "firewalls"), ("network", "networks"), ("ssh-key", "ssh_keys")] {
            items.extend(client.marked(list, fqdn).await?.into_iter().filter_map(|named| of(kind, named)));
        }
        items.retain(|item| item.marks.fqdn == fqdn);
        Ok(items)
    }

    async fn remove(&self, item: &Item) -> Result<()> {
        let Ok(id) = item.id.parse() else {
            return Err(Error::new(&codes::NOT_FOUND, format!("{:?} is no ID", item.id)));
        };
        match item.kind {
            "server" => self.shared.client.delete("servers", id).await,
            "firewall" => self.shared.client.delete("firewalls", id).await,
            "network" => self.shared.client.delete("networks", id).await,
            "ssh-key" => self.shared.client.delete("ssh_keys", id).await,
            other => Err(Error::new(&codes::NOT_FOUND, format!("there is no kind {other:?}"))),
        }
    }

    async fn plan(&self, fqdn: &str) -> Result<Plan> {
        self.shared.plan(fqdn).await
    }

    async fn regions(&self) -> Result<Vec<Region>> {
        let regions = self.shared.client.locations("").await?.into_iter().map(|location| Region {
            place: shown(&format!("{}, {}", location.city, location.country)),
            name: shown(&location.name),
            available: true,
        });
        Ok(regions.collect())
    }

    async fn sizes(&self, region: &str) -> Result<Vec<Size>> {
        self.shared.sizes(region).await
    }

    fn sets_reverse_names(&self) -> bool {
        true
    }

    async fn set_reverse_names(&self, outputs: &Outputs, name: Option<&str>) -> Result<()> {
        server::name_addresses(&self.shared.client, outputs, name).await
    }
}

fn of_server(server: &Server) -> Option<Item> {
    Some(Item {
        kind: "server",
        id: server.id.to_string(),
        name: shown(&server.name),
        marks: Marks::from_labels(&server.labels)?,
        addresses: server::addresses(server),
        state: shown(&server.status),
        region: server.location.as_ref().map(|location| shown(&location.name)),
    })
}

fn of(kind: &'static str, named: Named) -> Option<Item> {
    let marks = Marks::from_labels(&named.labels)?;
    Some(Item {
        kind,
        id: named.id.to_string(),
        name: shown(&named.name),
        marks,
        addresses: Vec::new(),
        state: String::new(),
        region: None,
    })
}

/// Returns the ID in a step's output.
pub(super) fn id_of(output: &Value) -> Option<u64> {
    output.get("id")?.as_u64()
}
