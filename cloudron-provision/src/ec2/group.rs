//! `firewall`: the security group of the machine.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::kind::Kind;
use super::shared::{Find, Made, Shared, group_name, made_by, marks_of};
use super::{
    AuthorizeSecurityGroupIngress, CreateSecurityGroup, DescribeSecurityGroups, Filter, Rule, SecurityGroup,
};
use crate::cloud::codes;
use crate::steps::{Check, Context, Step, Undo};

/// The ports that are open.
const PORTS: [u16; 4] = [22, 202, 80, 443];

/// Makes a security group. Its name is unique in a network, so that of two runs for the same machine only one gets it.
///
/// Output: `{"id": …, "name": …, "made": …}`.
pub(super) struct Firewall(pub(super) Arc<Shared>);

impl Firewall {
    /// Finds the group by its name: it may be somebody else's.
    async fn find(&self, context: &Context) -> Result<Option<SecurityGroup>> {
        let name = group_name(context.fqdn());
        let filters =
            vec![Filter::new("vpc-id", made_by(context, "network")?), Filter::new("group-name", &name)];
        let request = DescribeSecurityGroups { filters, ..DescribeSecurityGroups::default() };
        let Some(group) =
            self.0.client.all(&request).await?.into_iter().find(|group| group.group_name == name)
        else {
            return Ok(None);
        };
        match marks_of(&group.tags) {
            Some(marks) if self.0.owns(context, &marks) => Ok(Some(group)),
            Some(marks) => {
                let message =
                    format!("the security group {name} was made by run {} of {}", marks.run, marks.fqdn);
                Err(Error::new(&crate::codes::STEP_FOREIGN, message))
            }
            None => {
                let message = format!("the security group {name} exists and was not made by this program");
                Err(Error::new(&crate::codes::STEP_FOREIGN, message))
            }
        }
    }

    async fn look(&self, context: &Context) -> Result<Option<SecurityGroup>> {
        let find: Find<'_, SecurityGroup> = &|| Box::pin(self.find(context));
        self.0.find_in_doubt(find).await
    }

    async fn create(&self, context: &Context) -> Result<Made<String, SecurityGroup>> {
        if self.0.in_doubt(context, self.id())
            && let Some(found) = self.look(context).await?
        {
            return Ok(Made::There(found));
        }
        let request = CreateSecurityGroup {
            group_name: group_name(context.fqdn()),
            // Descriptions have at most 255 characters.
            group_description: format!("my.{}", context.fqdn()).chars().take(255).collect(),
            vpc_id: made_by(context, "network")?,
            tags: Shared::tags(&self.0.marks(context)?, &["security-group"], &group_name(context.fqdn())),
        };
        let find: Find<'_, SecurityGroup> = &|| Box::pin(self.find(context));
        Ok(match self.0.create(&request, find).await? {
            Made::New(created) => Made::New(created.group_id),
            Made::There(found) => Made::There(found),
        })
    }

    fn output(context: &Context, group: &SecurityGroup) -> Value {
        let made = marks_of(&group.tags).is_some_and(|marks| marks.is_of(context));
        json!({ "id": group.group_id, "name": group.group_name, "made": made })
    }
}

/// Returns whether the group lets in what it should.
fn is_open(group: &SecurityGroup) -> bool {
    PORTS.iter().all(|port| group.rules.iter().any(|rule| rule.from_port == Some((*port).into())))
}

#[async_trait]
impl Step for Firewall {
    fn id(&self) -> &'static str {
        "firewall"
    }

    fn plan(&self) -> String {
        match &self.0.settings.security_group {
            Some(id) => format!("Use the security group {id}"),
            None => "Make a security group that opens the ports 22, 80, 202 and 443, and ICMP".into(),
        }
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        if let Some(id) = &self.0.settings.security_group {
            return Ok(Check::Done(json!({ "id": id, "name": id, "made": false })));
        }
        if !self.0.in_doubt(context, self.id()) {
            return Ok(Check::Absent);
        }
        Ok(match self.look(context).await {
            Ok(Some(group)) if is_open(&group) => Check::Done(Self::output(context, &group)),
            Ok(_) => Check::Absent,
            Err(e) if e.is(&crate::codes::STEP_FOREIGN) => Check::Foreign(e.message().to_owned()),
            Err(e) => return Err(e),
        })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let made = self.create(context).await.map_err(|error| match error.is(&codes::TAKEN) {
            true => {
                let message = format!("there is a security group {} already", group_name(context.fqdn()));
                Error::new(&crate::codes::STEP_FOREIGN, message).with_source(error)
            }
            false => error,
        })?;
        let output = match &made {
            Made::New(id) => json!({ "id": id, "name": group_name(context.fqdn()), "made": true }),
            Made::There(group) => Self::output(context, group),
        };
        let group_id = output["id"].as_str().unwrap_or_default().to_owned();
        let rules = PORTS.map(Rule::tcp).into_iter().chain(Rule::icmp()).collect();
        self.0.ensure(&AuthorizeSecurityGroupIngress { group_id, rules }).await?;
        Ok(output)
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.0.undo(context, Kind::SecurityGroup, output).await?;
        Ok(Undo::Undone)
    }
}
