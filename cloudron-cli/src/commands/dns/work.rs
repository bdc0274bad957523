//! Shared parts of `plan` and `apply`: the desired records, the zone, the ownership, and the plan.

use std::sync::Arc;

use clap::Args;
use cloudron_core::{Error, Result, codes};
use cloudron_dns::managed::{Access, ManagedPlan, ManagedZone, OwnershipFile};
use cloudron_dns::{Adopt, DnsProvider, Intent, Name, PlanOptions, RecordKey, Zone};

use cloudron_machine::StateDir;

use super::desired::{Desired, Wanted, without_apex};
use super::provider::{HostOptions, Servers};
use crate::output::Output;

/// What is to be done, where, and what it may do.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// The domain
    pub domain: String,
    #[command(flatten)]
    pub desired: Desired,
    #[command(flatten)]
    pub host: HostOptions,
    #[command(flatten)]
    pub servers: Servers,
    /// Remove these records instead, as far as this computer wrote them
    #[arg(long, help_heading = "Permissions", conflicts_with_all = ["prune", "adopt"])]
    remove: bool,
    /// Also delete what this computer wrote and is no longer wanted
    #[arg(long, help_heading = "Permissions")]
    prune: bool,
    /// Take over records of others that stand in the way: all, or the one set NAME/TYPE (repeatable)
    #[arg(long, value_name = "all|NAME/TYPE", help_heading = "Permissions")]
    adopt: Vec<String>,
    /// Delete even more than 30 % of the record sets of a zone that has 10 or more, or all that this computer wrote
    #[arg(long, help_heading = "Permissions")]
    allow_deletions: bool,
}

impl Work {
    /// Refuses two options that both read standard input.
    fn check_stdin(&self) -> Result<()> {
        let token = self.host.token().is_some_and(|t| t == "-");
        match token && self.desired.reads_stdin() {
            true => {
                Err(Error::new(&codes::USAGE, "only one of --records and --token can read standard input")
                    .with_hint("give the token as file:PATH, env:NAME or cmd:PROGRAM"))
            }
            false => Ok(()),
        }
    }

    /// Reads the desired records, before any network access.
    pub(super) fn wishes(&self, out: &Output) -> Result<(Name, Vec<Intent>, PlanOptions)> {
        self.check_stdin()?;
        let Wanted { name, intents: desired, .. } = self.desired.read(&self.domain, out)?;
        let options = PlanOptions::default()
            .prune(self.prune)
            .allow_mass_deletion(self.allow_deletions)
            .adopt(Adopt::parse(&self.adopt, &name).map_err(|e| e.while_doing("reading --adopt"))?);
        Ok((name, desired, options))
    }

    /// Finds the zone and makes the plan.
    pub(super) async fn plan(
        &self,
        provider: Arc<dyn DnsProvider>,
        (name, desired, options): (Name, Vec<Intent>, PlanOptions),
        access: Access,
        out: &Output,
    ) -> Result<ManagedPlan> {
        let zone = self.host.host().find_zone(&*provider, &name).await?;
        let desired = without_apex(desired, &zone.apex, out);
        let managed = self.managed(provider, &zone)?;
        // An empty list may come from a program that failed to write the records.
        let all_goes = self.prune && desired.is_empty() && managed.ownership()?.keys().next().is_some();
        if all_goes && !self.allow_deletions {
            let message = format!(
                "nothing is wanted of {}, and --prune would delete all that this computer wrote there",
                zone.apex
            );
            return Err(Error::new(&cloudron_dns::codes::CONFLICT, message)
                .with_hint("check the records; add --allow-deletions if all of them are to go"));
        }
        if !self.remove {
            return managed.plan(desired, &options, access).await;
        }
        let planned = managed.removal(&desired, &options, access).await?;
        if !planned.left.is_empty() {
            let left = keys(&planned.left);
            out.say(&format!("Not what this computer wrote, and left as it is: {left}"));
        }
        Ok(planned)
    }

    /// Returns the zone with its ownership file.
    pub(super) fn managed(&self, provider: Arc<dyn DnsProvider>, zone: &Zone) -> Result<ManagedZone> {
        let owned = OwnershipFile::at(&StateDir::of_this_user()?.dns(), self.host.host().id(), zone);
        Ok(ManagedZone::new(provider, zone.clone(), owned))
    }
}

/// Joins the names of record sets to a list for display.
pub(crate) fn keys(keys: &[RecordKey]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
