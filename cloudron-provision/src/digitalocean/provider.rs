//! The provider and its settings.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloudron_core::{Clock, Error, Result, RetryPolicy, Secret};
use cloudron_http::HttpTransport;
use cloudron_http::rest::Rest;

use super::access::{Firewalled, Key};
use super::client::Client;
use super::droplet::MakeDroplet;
use super::failures::VENDOR;
use super::keys::DropletTags;
use super::removal::Found;
use crate::cloud::names::{foreign, machine, public_key};
use crate::cloud::{Login, Marks, RotateHostKey, codes};
use crate::facts::Requirements;
use crate::provider::CloudProvider;
use crate::remote::Remote;
use crate::steps::ready::FirstContact;
use crate::steps::{Context, Outputs, Step};

/// The machine to create.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The size: `s-1vcpu-2gb`.
    pub size: String,
    /// The region: `fra1`.
    pub region: String,
    /// The image: `debian-12-x64`.
    pub image: String,
    /// The public key that may log in, as in authorized_keys.
    pub public_key: String,
    /// True if the machine gets a reserved IPv4 address, by which it is reached.
    pub reserved_ip: bool,
    /// True if the machine gets an IPv6 address.
    pub ipv6: bool,
}

impl Settings {
    /// A basic droplet with 2 GB of memory, in Frankfurt, with Debian 12, IPv6 and no reserved address.
    pub fn new(public_key: impl Into<String>) -> Self {
        Self {
            size: "s-1vcpu-2gb".into(),
            region: "fra1".into(),
            image: "debian-12-x64".into(),
            public_key: public_key.into(),
            reserved_ip: false,
            ipv6: true,
        }
    }

    pub(super) fn check(&mut self) -> Result<()> {
        // A file ends in a line break, and may hold several keys.
        self.public_key = self.public_key.trim().to_owned();
        public_key(&self.public_key)?;
        for (what, text) in [("a size", &self.size), ("a region", &self.region), ("an image", &self.image)] {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
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
    /// True if the run was begun on another computer.
    pub(super) adopt: bool,
    /// What the last inventory found; none before there was one.
    pub(super) found: Mutex<Option<Found>>,
}

impl Shared {
    pub(super) fn marks(&self, context: &Context) -> Result<Marks> {
        Marks::new(context.fqdn(), &context.run())
    }

    /// Returns the tag that names the machine and the run.
    pub(super) fn word(&self, marks: &Marks) -> Result<String> {
        marks.machine_word().ok_or_else(|| {
            let message = format!("{} is too long for a tag of DigitalOcean", marks.fqdn);
            Error::new(&codes::SETTINGS, message)
        })
    }

    /// Returns whether tags say that something belongs to this run.
    pub(super) fn owns(&self, context: &Context, tags: &[String]) -> bool {
        marks_of(tags).is_some_and(|marks| marks.is_of(context))
    }

    /// Returns the error for something that belongs to somebody else.
    pub(super) fn foreign(&self, kind: &str, name: &str, tags: &[String]) -> Error {
        foreign(kind, name, marks_of(tags).as_ref())
    }
}

pub(super) fn marks_of(tags: &[String]) -> Option<Marks> {
    Marks::from_words(tags.iter().map(String::as_str))
}

/// Makes machines at DigitalOcean.
pub struct DigitalOcean {
    pub(super) shared: Arc<Shared>,
    login: Login,
    requirements: Requirements,
}

impl DigitalOcean {
    /// Creates a provider with a token that has the scopes of the [plan](crate::cloud::Plan). It sends nothing yet.
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
        Ok(Self::with(token, settings, login, transport, clock))
    }

    /// Creates a provider for the machines that there are. It cannot make any: its steps fail with `cloud-settings`.
    pub fn existing(
        token: Secret,
        login: Login,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::with(token, Settings::new(""), login, transport, clock)
    }

    fn with(
        token: Secret,
        settings: Settings,
        login: Login,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let client = Client { rest: Rest::new(&VENDOR, token, transport, clock) };
        let shared = Arc::new(Shared { client, settings, adopt: false, found: Mutex::default() });
        Self { shared, login, requirements: Requirements::default() }
    }

    /// Sends to another address than DigitalOcean's.
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

    /// Sets whether the run is one that was begun on another computer: what it made there is looked up and used.
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

impl std::fmt::Debug for DigitalOcean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (endpoint, settings) = (&self.shared.client.rest.endpoint, &self.shared.settings);
        f.debug_struct("DigitalOcean")
            .field("endpoint", endpoint)
            .field("settings", settings)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CloudProvider for DigitalOcean {
    fn name(&self) -> &'static str {
        "digitalocean"
    }

    /// Checks that the size can be made in the region now. A run that is resumed may have its droplet already.
    async fn preflight(&self, fqdn: &str) -> Result<()> {
        let marks = Marks::new(fqdn, &ulid::Ulid::nil().to_string())?;
        self.shared.word(&marks)?;
        self.shared.settings.clone().check()?;
        if self.shared.adopt {
            return Ok(());
        }
        self.shared.check_offer().await.map(drop)
    }

    fn steps(&self, fqdn: &str) -> Vec<Arc<dyn Step>> {
        let shared = &self.shared;
        let tags = Arc::new(DropletTags::new(shared.clone()));
        vec![
            Arc::new(Key(shared.clone())),
            Arc::new(Firewalled(shared.clone())),
            Arc::new(MakeDroplet(shared.clone())),
            Arc::new(FirstContact::new(machine(fqdn), self.requirements.clone())),
            Arc::new(RotateHostKey::new(self.login.clone(), tags)),
        ]
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
