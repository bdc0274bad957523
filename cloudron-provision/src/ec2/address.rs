//! `address`: an address that stays when the machine is stopped.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::Result;
use serde_json::{Value, json};

use super::kind::Kind;
use super::shared::{Find, Made, Shared, group_name, marks_of, of_domain};
use super::{Address, AllocateAddress, DescribeAddresses};
use crate::steps::{Check, Context, Step, Undo};

/// Allocates an Elastic IP address. The step `machine` gives it to the instance.
///
/// Output: `{"id": …, "ipv4": …, "made": …}`.
pub(super) struct OwnAddress(pub(super) Arc<Shared>);

impl OwnAddress {
    async fn find(&self, context: &Context) -> Result<Option<Address>> {
        let request = DescribeAddresses { filters: vec![of_domain(context.fqdn())] };
        let found = self.0.client.call(&request).await?.addresses.item;
        self.0.ours(context, "address", found, |address| &address.tags)
    }

    fn output(context: &Context, address: &Address) -> Value {
        let made = marks_of(&address.tags).is_some_and(|marks| marks.is_of(context));
        json!({ "id": address.allocation_id, "ipv4": address.public_ip, "made": made })
    }
}

#[async_trait]
impl Step for OwnAddress {
    fn id(&self) -> &'static str {
        "address"
    }

    fn plan(&self) -> String {
        "Allocate an Elastic IP address".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        if !self.0.in_doubt(context, self.id()) {
            return Ok(Check::Absent);
        }
        let find: Find<'_, Address> = &|| Box::pin(self.find(context));
        Ok(match self.0.find_in_doubt(find).await {
            Ok(Some(address)) => Check::Done(Self::output(context, &address)),
            Ok(None) => Check::Absent,
            Err(e) if e.is(&crate::codes::STEP_FOREIGN) => Check::Foreign(e.message().to_owned()),
            Err(e) => return Err(e),
        })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let name = group_name(context.fqdn());
        let tags = Shared::tags(&self.0.marks(context)?, &["elastic-ip"], &name);
        let find: Find<'_, Address> = &|| Box::pin(self.find(context));
        let request = AllocateAddress { tags, ..AllocateAddress::default() };
        Ok(match self.0.create(&request, find).await? {
            Made::New(made) => json!({ "id": made.allocation_id, "ipv4": made.public_ip, "made": true }),
            Made::There(found) => Self::output(context, &found),
        })
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.0.undo(context, Kind::ElasticIp, output).await?;
        Ok(Undo::Undone)
    }
}
