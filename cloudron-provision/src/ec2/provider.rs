//! The provider, and the cloud without a journal.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Clock, Error, Result, RetryPolicy};
use cloudron_http::HttpTransport;
use serde_json::Value;

use super::address::OwnAddress;
use super::gateway::{Gateway, Routes};
use super::group::Firewall;
use super::key::Key;
use super::kind::Kind;
use super::machine::{InstanceTags, MakeInstance};
use super::network::{Network, OwnSubnet};
use super::role::ServerRole;
use super::shared::{Shared, machine_name, shown};
use super::{Client, Credentials, DescribeRegions, Service, Settings};
use crate::cloud::{Cloud, Item, Login, Marks, Plan, Region, RotateHostKey, Size, codes};
use crate::facts::Requirements;
use crate::provider::CloudProvider;
use crate::remote::Remote;
use crate::steps::ready::FirstContact;
use crate::steps::{Outputs, Step};

/// Makes machines at Amazon's EC2, in one region.
pub struct Ec2 {
    pub(super) shared: Arc<Shared>,
    login: Login,
    requirements: Requirements,
}

impl Ec2 {
    /// Creates a provider. It sends nothing yet.
    ///
    /// # Errors
    /// `cloud-settings` if the settings cannot be right.
    pub fn new(
        credentials: Credentials,
        mut settings: Settings,
        login: Login,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        settings.check()?;
        Self::with(credentials, settings, login, transport, clock)
    }

    /// Creates a provider for the machines that there are in a region. It cannot make any: its steps fail with
    /// `cloud-settings`.
    ///
    /// # Errors
    /// `cloud-settings` for what is no region.
    pub fn existing(
        credentials: Credentials,
        region: &str,
        login: Login,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Self::with(credentials, Settings::new(region, ""), login, transport, clock)
    }

    fn with(
        credentials: Credentials,
        settings: Settings,
        login: Login,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let client = Client::new(settings.parsed_region()?, credentials, transport, clock);
        let shared = Arc::new(Shared::new(client, settings));
        Ok(Self { shared, login, requirements: Requirements::default() })
    }

    /// Sends the requests of a service to another address than Amazon's.
    ///
    /// # Errors
    /// `usage` for an address that cannot be used, or that would send secrets in the clear.
    pub fn at(mut self, service: Service, endpoint: &str) -> Result<Self> {
        self.inner().client.set_endpoint(service, endpoint)?;
        Ok(self)
    }

    /// Sets how often and how long a request is repeated.
    pub fn retries(mut self, policy: RetryPolicy) -> Self {
        self.inner().client.policy = policy;
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

    /// Returns the IAM policy that these settings need for a machine, and no more. In an account without a default network,
    /// it is enough only if the settings ask for a network of the machine's own.
    pub fn policy(&self, fqdn: &str) -> Value {
        self.shared.policy(fqdn)
    }

    fn inner(&mut self) -> &mut Shared {
        Arc::get_mut(&mut self.shared).expect("no step has been made yet")
    }
}

impl std::fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ec2")
            .field("client", &self.shared.client)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CloudProvider for Ec2 {
    fn name(&self) -> &'static str {
        "ec2"
    }

    /// Checks everything that can be asked, and reports all findings at once. A run that is resumed may have its instance
    /// already.
    async fn preflight(&self, fqdn: &str) -> Result<()> {
        Marks::new(fqdn, &ulid::Ulid::nil().to_string())?;
        self.shared.settings.clone().check()?;
        if self.shared.adopt {
            return Ok(());
        }
        self.shared.check(fqdn).await
    }

    fn steps(&self, fqdn: &str) -> Vec<Arc<dyn Step>> {
        let shared = &self.shared;
        let mut steps: Vec<Arc<dyn Step>> = vec![
            Arc::new(Key(shared.clone())),
            Arc::new(Network(shared.clone())),
            Arc::new(OwnSubnet(shared.clone())),
            Arc::new(Gateway(shared.clone())),
            Arc::new(Routes(shared.clone())),
            Arc::new(Firewall(shared.clone())),
        ];
        if shared.settings.elastic_ip {
            steps.push(Arc::new(OwnAddress(shared.clone())));
        }
        if let Some(place) = &shared.settings.server_role {
            steps.push(Arc::new(ServerRole(shared.clone(), place.clone())));
        }
        steps.push(Arc::new(MakeInstance(shared.clone())));
        steps.push(Arc::new(FirstContact::new(machine_name(fqdn), self.requirements.clone())));
        let tags = Arc::new(InstanceTags(shared.clone()));
        steps.push(Arc::new(RotateHostKey::new(self.login.clone(), tags)));
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
impl Cloud for Ec2 {
    async fn machines(&self) -> Result<Vec<Item>> {
        self.shared.machines().await
    }

    async fn inventory(&self, fqdn: &str) -> Result<Vec<Item>> {
        Marks::new(fqdn, &ulid::Ulid::nil().to_string())?;
        self.shared.inventory(fqdn).await
    }

    async fn remove(&self, item: &Item) -> Result<()> {
        match (Kind::named(item.kind), Kind::of(&item.id)) {
            (Some(kind), Some(of_id)) if kind == of_id => self.shared.delete(kind, &item.id).await,
            _ => {
                let message = format!("{:?} is no ID of the kind {:?}", item.id, item.kind);
                Err(Error::new(&codes::NOT_FOUND, message))
            }
        }
    }

    async fn plan(&self, fqdn: &str) -> Result<Plan> {
        self.shared.plan(fqdn).await
    }

    async fn regions(&self) -> Result<Vec<Region>> {
        let found = self.shared.client.call(&DescribeRegions { all_regions: Some(true) }).await?;
        let mut regions: Vec<Region> = found
            .regions
            .iter()
            .map(|region| Region {
                name: shown(&region.region_name),
                place: String::new(),
                available: region.opt_in_status != "not-opted-in",
            })
            .collect();
        regions.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(regions)
    }

    async fn sizes(&self, region: &str) -> Result<Vec<Size>> {
        self.shared.sizes(region).await
    }
}
