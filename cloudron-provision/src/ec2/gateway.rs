//! `gateway` and `route`: the way from a network of the machine's own to the internet.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::kind::Kind;
use super::network::is_own;
use super::shared::{Find, Made, Shared, group_name, made_by, marks_of, of_domain};
use super::{
    AttachInternetGateway, CreateInternetGateway, CreateRoute, DescribeInternetGateways, DescribeRouteTables,
    Filter, InternetGateway, RouteTable,
};
use crate::cloud::codes;
use crate::steps::{Check, Context, Step, Undo};

/// The step `gateway`. Output: `{"id": …, "made": …}`.
pub(super) struct Gateway(pub(super) Arc<Shared>);

impl Gateway {
    async fn find(&self, context: &Context) -> Result<Option<InternetGateway>> {
        let filters = vec![of_domain(context.fqdn())];
        let request = DescribeInternetGateways { filters, ..DescribeInternetGateways::default() };
        let found = self.0.client.all(&request).await?;
        self.0.ours(context, "internet gateway", found, |gateway| &gateway.tags)
    }

    async fn attach(&self, context: &Context, id: &str) -> Result<()> {
        let vpc_id = made_by(context, "network")?;
        self.0.ensure(&AttachInternetGateway { internet_gateway_id: id.into(), vpc_id }).await?;
        Ok(())
    }

    fn output(context: &Context, gateway: &InternetGateway) -> Value {
        let made = marks_of(&gateway.tags).is_some_and(|marks| marks.is_of(context));
        json!({ "id": gateway.internet_gateway_id, "made": made })
    }
}

#[async_trait]
impl Step for Gateway {
    fn id(&self) -> &'static str {
        "gateway"
    }

    fn plan(&self) -> String {
        "Connect a network of the machine's own to the internet".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        if !is_own(context) {
            return Ok(Check::Done(json!({ "id": null, "made": false })));
        }
        if self.0.in_doubt(context, self.id()) {
            let find: Find<'_, InternetGateway> = &|| Box::pin(self.find(context));
            let vpc = made_by(context, "network")?;
            if let Some(found) = self.0.find_in_doubt(find).await? {
                // Otherwise the second half of the step is missing.
                if found.attachments.iter().any(|attachment| attachment.vpc_id == vpc) {
                    return Ok(Check::Done(Self::output(context, &found)));
                }
            }
        }
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let name = group_name(context.fqdn());
        let tags = Shared::tags(&self.0.marks(context)?, &["internet-gateway"], &name);
        let find: Find<'_, InternetGateway> = &|| Box::pin(self.find(context));
        let found = match self.0.in_doubt(context, self.id()) {
            true => self.find(context).await?.map(Made::There),
            false => None,
        };
        let made = match found {
            Some(found) => found,
            None => self.0.create(&CreateInternetGateway { tags }, find).await?,
        };
        let output = match made {
            Made::New(created) => json!({ "id": created.internet_gateway.internet_gateway_id, "made": true }),
            Made::There(found) => Self::output(context, &found),
        };
        self.attach(context, output["id"].as_str().unwrap_or_default()).await?;
        Ok(output)
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.0.undo(context, Kind::InternetGateway, output).await?;
        Ok(Undo::Undone)
    }
}

/// The step `route`. Output: `{"id": …}`, of the table; it belongs to the network and goes with it.
pub(super) struct Routes(pub(super) Arc<Shared>);

impl Routes {
    async fn table(&self, context: &Context) -> Result<Option<RouteTable>> {
        let vpc = Filter::new("vpc-id", made_by(context, "network")?);
        let filters = vec![vpc, Filter::new("association.main", "true")];
        let request = DescribeRouteTables { filters, ..DescribeRouteTables::default() };
        Ok(self.0.client.all(&request).await?.into_iter().next())
    }
}

#[async_trait]
impl Step for Routes {
    fn id(&self) -> &'static str {
        "route"
    }

    fn plan(&self) -> String {
        "Route a network of the machine's own to the internet".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        // What is there already is seen when it is applied.
        Ok(if is_own(context) { Check::Absent } else { Check::Done(json!({ "id": null })) })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let gateway = made_by(context, "gateway")?;
        let find: Find<'_, RouteTable> = &|| Box::pin(self.table(context));
        let table = self.0.find_new(find).await?;
        let table = table.ok_or_else(|| Error::new(&codes::NOT_FOUND, "the network has no route table"))?;
        let network = context.output("network").unwrap_or_default();
        let everywhere = [("0.0.0.0/0", true), ("::/0", network["ipv6"].is_string())];
        for (target, wanted) in everywhere {
            let there = table.routes.iter().any(|route| {
                let to = [&route.destination_cidr_block, &route.destination_ipv6_cidr_block];
                to.iter().any(|to| to.as_deref() == Some(target))
            });
            if !wanted || there {
                continue;
            }
            let (v4, v6) = if target.contains(':') { (None, Some(target)) } else { (Some(target), None) };
            let request = CreateRoute {
                route_table_id: table.route_table_id.clone(),
                destination_cidr_block: v4.map(Into::into),
                destination_ipv6_cidr_block: v6.map(Into::into),
                gateway_id: gateway.clone(),
            };
            self.0.ensure(&request).await?;
        }
        Ok(json!({ "id": table.route_table_id }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}
