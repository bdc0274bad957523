//! The DNS records of a creation. They are written if the host has an API: for a machine that is there at the end, for one
//! that a cloud makes as soon as its address is known. Otherwise the last step prints which records to set and checks
//! whether they are set.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Domain, Error, Result, codes as core_codes};
use cloudron_dns::managed::{Access, ManagedPlan};
use cloudron_dns::propagation::{self, WaitOptions};
use cloudron_dns::{Change, Intent, MailSettings, Name, PlanOptions, machine_records};
use cloudron_provision::steps::{Check, Context, Outputs, Step, Undo};
use serde_json::Value;

use super::{DnsHost, Records, both_families, lookup};
use crate::outputs::{DnsDone, Made, StepOutput, Written};

/// Addresses of documentation, in place of those that are not known yet.
const NOBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// The addresses that the records have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// This one.
    At(IpAddr),
    /// Those of the machine that the run makes.
    Made,
}

impl Target {
    fn addresses(self, outputs: &Outputs) -> Vec<IpAddr> {
        match self {
            Self::At(address) => vec![address],
            Self::Made => Made::of(outputs).map(|made| made.addresses()).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Made => f.write_str("the machine"),
        }
    }
}

/// Reports which records to set and checks them on all authoritative servers. Missing records do not fail the
/// run, since only the user can set them.
pub(crate) struct CheckRecords {
    pub domain: Domain,
    pub target: Target,
    pub name_servers: Vec<SocketAddr>,
}

#[async_trait]
impl Step for CheckRecords {
    fn id(&self) -> &'static str {
        "dns"
    }

    fn plan(&self) -> String {
        format!("Check that my.{} and *.{} point at {}", self.domain, self.domain, self.target)
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let limit = Duration::from_secs(20);
        let addresses = self.target.addresses(&context.outputs());
        let asked = match Records::new(&self.domain, &addresses, false, &self.name_servers, limit) {
            Ok(records) => Ok((records.instructions()?, records.check().await)),
            Err(error) => Err(error),
        };
        match asked {
            Ok((_, Ok(report))) if report.agrees() => {
                let (domain, target) = (&self.domain, self.target);
                context
                    .progress
                    .note(format!("Every authoritative name server points {domain} at {target}."));
                done(Some(true), None)
            }
            Ok((instructions, answer)) => {
                let found = match answer {
                    Ok(report) => report.to_string(),
                    Err(error) => error.to_string(),
                };
                context
                    .progress
                    .warn(format!("the DNS records are missing.\n{instructions}\nFound:\n{found}"));
                done(Some(false), None)
            }
            Err(error) => {
                context.progress.warn(format!("the DNS records could not be checked: {error}"));
                done(None, None)
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

fn done(agrees: Option<bool>, written: Option<Written>) -> Result<Value> {
    serde_json::to_value(DnsDone { agrees, written })
        .map_err(|e| Error::new(&core_codes::FAILED, format!("the output is not JSON: {e}")))
}

/// Returns true if all name servers have the records.
fn agrees(output: &Value) -> bool {
    output["agrees"] == true
}

/// Time limit for propagation of the written records. When it expires, the creation still succeeds.
pub(crate) const PROPAGATION: Duration = Duration::from_secs(120);

/// Writes the records at the DNS host and waits until its name servers have them, up to a time limit. Records
/// of others are never changed: a conflict ends the run before anything is made.
pub(crate) struct WriteRecords {
    pub host: DnsHost,
    pub domain: Domain,
    pub target: Target,
    pub name_servers: Vec<SocketAddr>,
    /// Folder with the ownership files.
    pub folder: PathBuf,
    /// Time limit for propagation.
    pub patience: Duration,
}

impl WriteRecords {
    /// Returns the records, none before the machine has an address.
    fn wishes(&self, outputs: &Outputs) -> Result<Vec<Intent>> {
        let addresses = both_families(&self.target.addresses(outputs));
        machine_records(&self.domain, &addresses, &MailSettings::off())
    }

    /// Checks that the zone exists and that no records of others conflict.
    ///
    /// # Errors
    /// `dns-conflict`, `dns-zone-not-found`, and errors of the host.
    pub(crate) async fn preflight(&self, outputs: &Outputs) -> Result<()> {
        let mut addresses = self.target.addresses(outputs);
        if addresses.is_empty() {
            // Of a machine that is not there yet, only the names are known.
            addresses = NOBODY.to_vec();
        }
        let wishes = machine_records(&self.domain, &both_families(&addresses), &MailSettings::off())?;
        self.plan_for(wishes, Access::Read).await?.plan.check()
    }

    /// Returns the names and types of the records, for display. For a machine that is not made yet, of both families.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let wishes = match self.target {
            Target::At(_) => self.wishes(&Outputs::new())?,
            Target::Made => machine_records(&self.domain, &both_families(&NOBODY), &MailSettings::off())?,
        };
        Ok(wishes.iter().map(|wish| wish.key().to_string()).collect())
    }

    async fn plan_for(&self, wishes: Vec<Intent>, access: Access) -> Result<ManagedPlan> {
        let zone = self.host.managed(&self.domain, &self.folder).await?;
        zone.plan(wishes, &PlanOptions::default(), access).await
    }

    /// Writes the records. Others may write to the zone afterwards. Returns the zone's name and what was written.
    async fn write(&self, context: &Context) -> Result<(Name, Written)> {
        let planned = self.plan_for(self.wishes(&context.outputs())?, Access::Write).await?;
        planned.plan.check()?;
        planned.apply(&context.progress).await?;
        let plan = planned.plan;
        let written = Written { sets: plan.changes.iter().filter_map(Change::after).cloned().collect() };
        Ok((plan.zone.apex, written))
    }

    /// Removes what was written. Without an output, the run was interrupted while writing or waiting: then all records
    /// that are ours are removed.
    async fn take_back(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        let written = output.and_then(|output| serde_json::from_value::<DnsDone>(output.clone()).ok());
        let wishes = match written.and_then(|done| done.written) {
            Some(written) => written.sets.into_iter().map(Intent::Exactly).collect(),
            None => self.wishes(&context.outputs())?,
        };
        self.host.remove(&self.domain, &wishes, &self.folder, &context.progress).await?;
        Ok(Undo::Undone)
    }

    /// Waits for the name servers. A timeout does not fail the run.
    async fn wait(&self, context: &Context, apex: &Name) -> Result<bool> {
        let options = WaitOptions::default().within(self.patience).with_progress(context.progress.clone());
        let wishes = self.wishes(&context.outputs())?;
        let waiting =
            async { propagation::wait(&lookup(&self.name_servers)?, apex, &wishes, &options).await };
        let waited = tokio::select! {
            waited = waiting => waited,
            () = context.cancel.cancelled() => return context.cancel.check().map(|()| false),
        };
        match waited {
            Ok(_) => Ok(true),
            Err(error) => {
                context
                    .progress
                    .warn(format!("the DNS records are written, and not on every name server yet: {error}"));
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
        let (domain, host) = (&self.domain, self.host.provider.id());
        format!("Point my.{domain} and *.{domain} at {} at {host}", self.target)
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let (apex, written) = self.write(context).await?;
        let agrees = self.wait(context, &apex).await?;
        done(Some(agrees), Some(written))
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.take_back(context, output).await
    }

    fn reached(&self, output: &Value) -> bool {
        agrees(output)
    }
}

/// Writes the records as soon as the machine's addresses are known, while it boots.
pub(crate) struct PutRecords(pub Arc<WriteRecords>);

#[async_trait]
impl Step for PutRecords {
    fn id(&self) -> &'static str {
        "dns-records"
    }

    fn plan(&self) -> String {
        self.0.plan()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let (_, written) = self.0.write(context).await?;
        done(None, Some(written))
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.0.take_back(context, output).await
    }
}

/// Waits for the name servers, after [`PutRecords`].
pub(crate) struct AwaitRecords(pub Arc<WriteRecords>);

#[async_trait]
impl Step for AwaitRecords {
    fn id(&self) -> &'static str {
        "dns"
    }

    fn plan(&self) -> String {
        format!("Wait for the name servers of {}", self.0.domain)
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let zone = self.0.host.zone.find(&*self.0.host.provider, &Name::from(&self.0.domain)).await?;
        let agrees = self.0.wait(context, &zone.apex).await?;
        let written = context.output("dns-records");
        let written = written.and_then(|output| serde_json::from_value::<DnsDone>(output).ok()?.written);
        done(Some(agrees), written)
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }

    fn reached(&self, output: &Value) -> bool {
        agrees(output)
    }
}

#[cfg(test)]
mod tests {
    use cloudron_dns::memory::MemoryProvider;
    use cloudron_dns::{Observed, RecordSet, RecordType, Scope, Ttl, Zone, codes};
    use cloudron_provision::local::Local;
    use serde_json::json;

    use super::*;

    fn set(owner: &str, rtype: RecordType, value: &str) -> RecordSet {
        RecordSet::parse(Name::parse(owner).unwrap(), Ttl::DEFAULT, rtype, [value]).unwrap()
    }

    fn step(there: RecordSet, folder: &std::path::Path) -> (WriteRecords, Context) {
        let zone = Zone::new("1", Name::parse("example.com").unwrap());
        let step = WriteRecords {
            host: DnsHost::new(
                "memory",
                Arc::new(MemoryProvider::new().with_zone(zone, [Observed::Plain(there)])),
            ),
            domain: Domain::parse("example.com").unwrap(),
            target: Target::At("192.0.2.1".parse().unwrap()),
            // Nothing listens there.
            name_servers: vec!["127.0.0.1:9".parse().unwrap()],
            folder: folder.join("dns"),
            patience: Duration::ZERO,
        };
        (step, Context::new("example.com", Arc::new(Local::new(folder))))
    }

    async fn names(step: &WriteRecords) -> Vec<String> {
        let zone = step.host.zone.find(&*step.host.provider, &Name::from(&step.domain)).await.unwrap();
        let all = step.host.provider.read(&zone, Scope::Zone).await.unwrap();
        all.sets.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn records_that_are_missing_or_could_not_be_looked_up_are_not_done() {
        let step = CheckRecords {
            domain: Domain::parse("example.com").unwrap(),
            target: Target::At("192.0.2.1".parse().unwrap()),
            name_servers: Vec::new(),
        };
        assert!(step.reached(&json!({ "agrees": true })));
        assert!(!step.reached(&json!({ "agrees": false })) && !step.reached(&json!({ "agrees": null })));
    }

    #[tokio::test]
    async fn what_a_run_wrote_is_taken_back_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (step, context) = step(set("www.example.com", RecordType::A, "192.0.2.1"), dir.path());
        step.preflight(&Outputs::new()).await.unwrap();
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
        assert!(step.preflight(&Outputs::new()).await.unwrap_err().is(&codes::CONFLICT));
        assert!(step.apply(&context).await.unwrap_err().is(&codes::CONFLICT));
        assert_eq!(names(&step).await, ["my.example.com. A"]);
    }
}
