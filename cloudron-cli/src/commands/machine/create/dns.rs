//! The last step of a machine at a DNS host without an interface: say what to set, and look whether it is set.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Domain, Result};
use cloudron_provision::steps::{Check, Context, Step, Undo};
use serde_json::{Value, json};

use crate::records::Records;

/// Says which records to set and checks them on all authoritative servers. That they are not there yet does not
/// fail the run: only the person can set them.
pub(super) struct CheckRecords {
    pub domain: Domain,
    pub address: IpAddr,
    pub name_servers: Vec<SocketAddr>,
}

#[async_trait]
impl Step for CheckRecords {
    fn id(&self) -> &'static str {
        "dns"
    }

    fn plan(&self) -> String {
        format!("Check that my.{} and *.{} point at {}", self.domain, self.domain, self.address)
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let limit = Duration::from_secs(20);
        let asked = match Records::new(&self.domain, &[self.address], false, &self.name_servers, limit) {
            Ok(records) => Ok((records.instructions()?, records.check().await)),
            Err(error) => Err(error),
        };
        let again = format!("`cloudron dns check {} --ip {}` looks again", self.domain, self.address);
        match asked {
            Ok((_, Ok(report))) if report.agrees() => {
                context.progress.note(format!(
                    "Every authoritative name server points {} at {}.",
                    self.domain, self.address
                ));
                Ok(json!({ "agrees": true }))
            }
            Ok((instructions, answer)) => {
                let found = match answer {
                    Ok(report) => report.to_string(),
                    Err(error) => error.to_string(),
                };
                context.progress.warn(format!(
                    "the DNS records are not there yet.\n{instructions}\nFound:\n{found}\n{again}"
                ));
                Ok(json!({ "agrees": false }))
            }
            Err(error) => {
                context.progress.warn(format!("the DNS records could not be checked: {error}\n{again}"));
                Ok(json!({ "agrees": null }))
            }
        }
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}
