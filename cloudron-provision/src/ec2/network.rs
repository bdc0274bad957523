//! `network` and `subnet`: the default network of the account, the given one, or one of the machine's own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::kind::Kind;
use super::offer::Place;
use super::shared::{Find, Made, Shared, foreign_run, group_name, made_by, marks_of, of_domain};
use super::{CreateSubnet, CreateVpc, DescribeSubnets, DescribeVpcs, Filter, Subnet, Vpc};
use crate::cloud::{Patience, codes};
use crate::steps::{Check, Context, Step, Undo};

/// The addresses of a network of our own, and of its subnet.
pub(super) const ADDRESSES: [&str; 2] = ["10.77.0.0/16", "10.77.0.0/20"];

/// Returns whether the machine's network was made for it.
pub(super) fn is_own(context: &Context) -> bool {
    context.output("network").is_some_and(|output| output["own"] == true)
}

/// The step `network`.
///
/// Output: `{"id": …, "own": …, "made": …, "ipv6": …}`.
pub(super) struct Network(pub(super) Arc<Shared>);

impl Network {
    async fn all(&self, context: &Context) -> Result<Vec<Vpc>> {
        let filters = vec![of_domain(context.fqdn())];
        Ok(self.0.client.all(&DescribeVpcs { filters, ..DescribeVpcs::default() }).await?)
    }

    async fn find(&self, context: &Context) -> Result<Option<Vpc>> {
        self.0.ours(context, "network", self.all(context).await?, |vpc| &vpc.tags)
    }

    /// Waits until the network can be used. Another run that made one at the same moment is seen here at the latest.
    async fn ready(&self, context: &Context, id: &str) -> Result<Value> {
        let limit = Duration::from_secs(300);
        let patience = Patience { first: Duration::from_secs(1), ..Patience::of(limit) };
        let mut waits = patience.begin(&*self.0.client.clock);
        loop {
            context.cancel.check()?;
            let all = self.all(context).await?;
            if let Some(marks) = all
                .iter()
                .filter_map(|vpc| marks_of(&vpc.tags))
                .find(|marks| marks.fqdn == context.fqdn() && !self.0.owns(context, marks))
            {
                return Err(foreign_run("network", &marks));
            }
            if let Some(vpc) = all.iter().find(|vpc| vpc.vpc_id == id)
                && vpc.state == "available"
                && vpc.ipv6.iter().all(|block| block.ipv6_cidr_block_state.state != "associating")
            {
                return Ok(self.output(context, vpc));
            }
            waits.again("the network was not ready").await?;
        }
    }

    fn output(&self, context: &Context, vpc: &Vpc) -> Value {
        let made = marks_of(&vpc.tags).is_some_and(|marks| marks.is_of(context));
        let block = vpc.ipv6.iter().find(|block| block.ipv6_cidr_block_state.state == "associated");
        json!({ "id": vpc.vpc_id, "own": true, "made": made, "ipv6": block.map(|block| &block.ipv6_cidr_block) })
    }
}

#[async_trait]
impl Step for Network {
    fn id(&self) -> &'static str {
        "network"
    }

    fn plan(&self) -> String {
        match (&self.0.settings.subnet, self.0.settings.own_vpc) {
            (Some(subnet), _) => format!("Use the network of {subnet}"),
            (None, true) => "Make a network".into(),
            (None, false) => "Use the account's default network, or make one".into(),
        }
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        if self.0.settings.subnet.is_none() && self.0.in_doubt(context, self.id()) {
            let find: Find<'_, Vpc> = &|| Box::pin(self.find(context));
            let found = self.0.find_in_doubt(find).await;
            match found {
                Ok(Some(vpc)) => return self.ready(context, &vpc.vpc_id).await.map(Check::Done),
                Ok(None) => {}
                Err(e) if e.is(&crate::codes::STEP_FOREIGN) => {
                    return Ok(Check::Foreign(e.message().to_owned()));
                }
                Err(e) => return Err(e),
            }
        }
        if !self.0.settings.own_vpc
            && let Some(place) = self.0.places().await?.first()
        {
            return Ok(Check::Done(json!({ "id": place.vpc, "own": false, "made": false })));
        }
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        if let Some(found) = self.find(context).await? {
            return self.ready(context, &found.vpc_id).await;
        }
        let request = CreateVpc {
            cidr_block: ADDRESSES[0].into(),
            amazon_provided_ipv6_cidr_block: self.0.settings.ipv6,
            tags: Shared::tags(&self.0.marks(context)?, &["vpc"], &group_name(context.fqdn())),
        };
        let find: Find<'_, Vpc> = &|| Box::pin(self.find(context));
        let id = match self.0.create(&request, find).await? {
            Made::New(created) => created.vpc.vpc_id,
            Made::There(found) => found.vpc_id,
        };
        self.ready(context, &id).await
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.0.undo(context, Kind::Vpc, output).await?;
        Ok(Undo::Undone)
    }
}

/// The step `subnet`.
///
/// Output: `{"id": …, "made": …, "places": [{"subnet": …, "vpc": …, "zone": …, "ipv6": …}, …]}`.
pub(super) struct OwnSubnet(pub(super) Arc<Shared>);

impl OwnSubnet {
    async fn find(&self, context: &Context) -> Result<Option<Subnet>> {
        let filters = vec![of_domain(context.fqdn()), Filter::new("vpc-id", made_by(context, "network")?)];
        let found = self.0.client.all(&DescribeSubnets { filters, ..DescribeSubnets::default() }).await?;
        self.0.ours(context, "subnet", found, |subnet| &subnet.tags)
    }

    fn output(context: &Context, subnet: &Subnet) -> Value {
        let made = marks_of(&subnet.tags).is_some_and(|marks| marks.is_of(context));
        json!({ "id": subnet.subnet_id, "made": made, "places": [Place::of(subnet)] })
    }
}

#[async_trait]
impl Step for OwnSubnet {
    fn id(&self) -> &'static str {
        "subnet"
    }

    fn plan(&self) -> String {
        "Choose a subnet, or make one in a network of the machine's own".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        if !is_own(context) {
            let places = self.0.places().await?;
            return Ok(Check::Done(json!({ "id": null, "made": false, "places": places })));
        }
        if self.0.in_doubt(context, self.id()) {
            let find: Find<'_, Subnet> = &|| Box::pin(self.find(context));
            if let Some(subnet) = self.0.find_in_doubt(find).await? {
                return Ok(Check::Done(Self::output(context, &subnet)));
            }
        }
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let Some(zone) = self.0.zones().await?.first() else {
            let message = format!("no zone of the region offers {}", self.0.settings.instance_type);
            return Err(Error::new(&codes::SETTINGS, message));
        };
        let network = context.output("network").unwrap_or_default();
        let ipv6 = network["ipv6"].as_str().and_then(|block| block.split('/').next());
        let request = CreateSubnet {
            vpc_id: made_by(context, "network")?,
            cidr_block: ADDRESSES[1].into(),
            ipv6_cidr_block: ipv6.map(|block| format!("{block}/64")),
            availability_zone: Some(zone.clone()),
            tags: Shared::tags(&self.0.marks(context)?, &["subnet"], &group_name(context.fqdn())),
        };
        let find: Find<'_, Subnet> = &|| Box::pin(self.find(context));
        match self.0.create(&request, find).await? {
            Made::There(found) => Ok(Self::output(context, &found)),
            Made::New(created) => {
                let subnet = created.subnet;
                let mut place = Place::of(&subnet);
                // Its addresses are associated within a second, long before it is used.
                place.ipv6 = request.ipv6_cidr_block.is_some();
                Ok(json!({ "id": subnet.subnet_id, "made": true, "places": [place] }))
            }
        }
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.0.undo(context, Kind::Subnet, output).await?;
        Ok(Undo::Undone)
    }
}
