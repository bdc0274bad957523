//! The last step of a machine: its DNS records. They are written where the host has an interface; where it has none,
//! it is said what to set, and looked whether it is set.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Domain, Result};
use cloudron_dns::managed::{Access, ManagedPlan, ManagedZone, OwnershipFile};
use cloudron_dns::propagation::{self, WaitOptions};
use cloudron_dns::{
    Addresses, Change, DnsProvider, Intent, MailSettings, Name, PlanOptions, RecordSet, machine_records,
};
use cloudron_provision::steps::{Check, Context, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::commands::dns::provider::Host;
use crate::commands::machine::records::take_back;
use crate::records::{Records, lookup};

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
        let again = format!("re-check with `cloudron dns check {} --ip {}`", self.domain, self.address);
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
                context
                    .progress
                    .warn(format!("the DNS records are missing.\n{instructions}\nFound:\n{found}\n{again}"));
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

    fn reached(&self, output: &Value) -> bool {
        agrees(output)
    }
}

/// Whether all name servers have the records.
fn agrees(output: &Value) -> bool {
    output["agrees"] == true
}

/// How long the name servers are given to have what was written. The machine is there all the same.
pub(super) const PROPAGATION: Duration = Duration::from_secs(120);

/// Writes the records at the DNS host, and waits a while until its name servers have them. Records of others are
/// never changed: they end the run before anything is made.
pub(super) struct WriteRecords {
    pub host: Host,
    pub provider: Arc<dyn DnsProvider>,
    pub domain: Domain,
    pub address: IpAddr,
    pub name_servers: Vec<SocketAddr>,
    /// Where it is kept which records are ours.
    pub folder: PathBuf,
    /// How long the name servers are given.
    pub patience: Duration,
}

/// What was written, for the journal.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    /// The sets that are there now and were not before.
    sets: Vec<RecordSet>,
}

impl WriteRecords {
    fn wishes(&self) -> Result<Vec<Intent>> {
        machine_records(&self.domain, &Addresses::from(self.address), &MailSettings::off())
    }

    /// That the zone is there, and nothing of others in the way.
    ///
    /// # Errors
    /// `dns-conflict`, `dns-zone-not-found`, and what the host says.
    pub(super) async fn preflight(&self) -> Result<()> {
        self.plan_for(self.wishes()?, Access::Read).await?.plan.check().map_err(|e| {
            e.with_hint(format!(
                "remove these records, or take them over with `cloudron dns apply {} {} --machine --ip {} --adopt all`, \
                 and run this again",
                self.domain,
                self.host.options(),
                self.address
            ))
        })
    }

    async fn plan_for(&self, wishes: Vec<Intent>, access: Access) -> Result<ManagedPlan> {
        let zone = self.host.find_zone(&*self.provider, &Name::from(&self.domain)).await?;
        let owned = OwnershipFile::at(&self.folder, &self.host.id(), &zone);
        let options = PlanOptions::default();
        ManagedZone::new(self.provider.clone(), zone, owned).plan(wishes, &options, access).await
    }

    /// Waits for the name servers. That they take longer does not fail the run.
    async fn wait(&self, context: &Context, apex: &Name) -> Result<bool> {
        let options = WaitOptions::default().within(self.patience).with_progress(context.progress.clone());
        let wishes = self.wishes()?;
        let waiting =
            async { propagation::wait(&lookup(&self.name_servers)?, apex, &wishes, &options).await };
        let waited = tokio::select! {
            waited = waiting => waited,
            () = context.cancel.cancelled() => return context.cancel.check().map(|()| false),
        };
        match waited {
            Ok(_) => Ok(true),
            Err(error) => {
                context.progress.warn(format!(
                    "the DNS records are written, and not on every name server yet: {error}\n\
                     re-check with `cloudron dns check {} --ip {}`",
                    self.domain, self.address
                ));
                Ok(false)
            }
        }
    }
}

#[async_trait]
impl Step for WriteRecords {
    fn id(&self) -> &'static str {
        "dns"
    }

    fn plan(&self) -> String {
        let (domain, host) = (&self.domain, self.provider.id());
        format!("Point my.{domain} and *.{domain} at {} at {host}", self.address)
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let planned = self.plan_for(self.wishes()?, Access::Write).await?;
        planned.plan.check()?;
        planned.apply(&context.progress).await?;
        // Others may write the zone while the name servers are waited for.
        let plan = planned.plan;
        let agrees = self.wait(context, &plan.zone.apex).await?;
        let written = Written { sets: plan.changes.iter().filter_map(Change::after).cloned().collect() };
        Ok(json!({ "agrees": agrees, "written": written }))
    }

    /// Without its output, the run was cut off while it wrote or waited: then all that is ours goes.
    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        let wishes = match output.and_then(written) {
            Some(written) => written.sets.into_iter().map(Intent::Exactly).collect(),
            None => self.wishes()?,
        };
        take_back(&self.host, self.provider.clone(), &self.domain, &wishes, &self.folder, &context.progress)
            .await?;
        Ok(Undo::Undone)
    }

    fn reached(&self, output: &Value) -> bool {
        agrees(output)
    }
}

fn written(output: &Value) -> Option<Written> {
    serde_json::from_value(output.get("written")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use cloudron_dns::memory::MemoryProvider;
    use cloudron_dns::{Observed, RecordType, Scope, Ttl, Zone, codes};
    use cloudron_provision::local::Local;

    use super::*;
    use crate::commands::dns::account::Account;
    use crate::commands::dns::provider::Kind;

    fn set(owner: &str, rtype: RecordType, value: &str) -> RecordSet {
        RecordSet::parse(Name::parse(owner).unwrap(), Ttl::DEFAULT, rtype, [value]).unwrap()
    }

    fn step(there: RecordSet, folder: &std::path::Path) -> (WriteRecords, Context) {
        let zone = Zone::new("1", Name::parse("example.com").unwrap());
        let step = WriteRecords {
            host: Host::new(Kind::Rfc2136, Account::default()),
            provider: Arc::new(MemoryProvider::new().with_zone(zone, [Observed::Plain(there)])),
            domain: Domain::parse("example.com").unwrap(),
            address: "192.0.2.1".parse().unwrap(),
            // Nobody answers there.
            name_servers: vec!["127.0.0.1:9".parse().unwrap()],
            folder: folder.join("dns"),
            patience: Duration::ZERO,
        };
        (step, Context::new("example.com", Arc::new(Local::new(folder))))
    }

    async fn names(step: &WriteRecords) -> Vec<String> {
        let zone = step.host.find_zone(&*step.provider, &Name::from(&step.domain)).await.unwrap();
        let all = step.provider.read(&zone, Scope::Zone).await.unwrap();
        all.sets.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn records_that_are_missing_or_could_not_be_looked_up_are_not_done() {
        let step = CheckRecords {
            domain: Domain::parse("example.com").unwrap(),
            address: "192.0.2.1".parse().unwrap(),
            name_servers: Vec::new(),
        };
        assert!(step.reached(&json!({ "agrees": true })));
        assert!(!step.reached(&json!({ "agrees": false })) && !step.reached(&json!({ "agrees": null })));
    }

    #[tokio::test]
    async fn what_a_run_wrote_is_taken_back_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (step, context) = step(set("www.example.com", RecordType::A, "192.0.2.1"), dir.path());
        step.preflight().await.unwrap();
        assert_eq!(names(&step).await, ["www.example.com. A"]);
        let output = step.apply(&context).await.unwrap();
        assert!(!step.reached(&output));
        assert_eq!(names(&step).await, ["*.example.com. A", "my.example.com. A", "www.example.com. A"]);
        for _ in 0..2 {
            assert_eq!(step.undo(&context, Some(&output)).await.unwrap(), Undo::Undone);
            assert_eq!(names(&step).await, ["www.example.com. A"]);
        }
    }

    #[tokio::test]
    async fn a_run_that_was_cut_off_while_it_waited_is_taken_back_too() {
        let dir = tempfile::tempdir().unwrap();
        let (step, context) = step(set("www.example.com", RecordType::A, "192.0.2.1"), dir.path());
        step.apply(&context).await.unwrap();
        assert_eq!(step.undo(&context, None).await.unwrap(), Undo::Undone);
        assert_eq!(names(&step).await, ["www.example.com. A"]);
    }

    #[tokio::test]
    async fn records_of_others_end_the_run_before_it_begins() {
        let dir = tempfile::tempdir().unwrap();
        let (step, context) = step(set("my.example.com", RecordType::A, "192.0.2.9"), dir.path());
        assert!(step.preflight().await.unwrap_err().is(&codes::CONFLICT));
        assert!(step.apply(&context).await.unwrap_err().is(&codes::CONFLICT));
        assert_eq!(names(&step).await, ["my.example.com. A"]);
    }
}
