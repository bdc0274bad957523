//! Removal of the DNS records that the creation of a machine wrote.

use std::path::PathBuf;

use cloudron_core::{Domain, Error, Progress, Result};
use cloudron_dns::managed::Access;
use cloudron_dns::{Intent, MailSettings, PlanOptions, RecordKey, machine_records};

use serde_json::{Value, json};

use super::{DnsHost, both_families};
use crate::manager::Manager;
use crate::registry::DnsRecords;

impl DnsHost {
    /// Removes the records that are ours. Returns what was removed, and what was left because it is not ours.
    pub(super) async fn remove(
        &self,
        domain: &Domain,
        wishes: &[Intent],
        folder: &std::path::Path,
        progress: &Progress,
    ) -> Result<(Vec<RecordKey>, Vec<RecordKey>)> {
        let zone = self.managed(domain, folder).await?;
        let planned = zone.removal(wishes, &PlanOptions::default(), Access::Write).await?;
        planned.plan.check()?;
        planned.apply(progress).await?;
        let removed = planned.plan.changes.iter().map(|change| change.key().clone()).collect();
        Ok((removed, planned.left))
    }
}

/// The records of a machine, and the account to remove them with.
pub struct Removal {
    domain: Domain,
    provider: String,
    wishes: Vec<Intent>,
    folder: PathBuf,
    host: Result<DnsHost>,
    advice: Option<String>,
}

/// The result of removing records.
#[derive(Debug)]
pub struct Outcome {
    /// The DNS host.
    pub provider: String,
    /// The record sets that were removed.
    pub removed: Vec<RecordKey>,
    /// The record sets that were left.
    pub left: Vec<RecordKey>,
    /// Why all of them were left. If `None`, a record set was left because this computer did not write it.
    pub failure: Option<String>,
    advice: Option<String>,
}

impl Manager {
    /// Returns the removal of the records named by a machine's record or by a run. A missing account is not
    /// an error here: the machine is removed anyway, and the outcome reports it.
    ///
    /// # Errors
    /// None for records that were written.
    pub fn removal(&self, domain: &Domain, records: &DnsRecords, host: Result<DnsHost>) -> Result<Removal> {
        let wishes = machine_records(domain, &both_families(&records.addresses), &MailSettings::off())?;
        Ok(Removal {
            domain: domain.clone(),
            provider: records.provider.clone(),
            wishes,
            folder: self.state().dns(),
            host,
            advice: None,
        })
    }
}

impl Removal {
    /// Adds the command to show for removing records that were left.
    #[must_use]
    pub fn advising(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Returns the name of the DNS host.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns why the records cannot be removed, if that is known beforehand.
    pub fn obstacle(&self) -> Option<&Error> {
        self.host.as_ref().err()
    }

    /// Removes the records that are ours. A failure is part of the outcome, since the machine is already
    /// removed.
    pub async fn remove(&self, progress: &Progress) -> Outcome {
        let host = match &self.host {
            Ok(host) => host,
            Err(error) => return self.kept(&error.to_string()),
        };
        match host.remove(&self.domain, &self.wishes, &self.folder, progress).await {
            Ok((removed, left)) => {
                Outcome { provider: self.provider.clone(), removed, left, failure: None, advice: None }
            }
            Err(error) => self.kept(&error.to_string()),
        }
    }

    /// As [`remove`](Self::remove), for a machine that does not exist any more: of the records that this computer did not
    /// write, those with exactly its addresses are removed too.
    pub(crate) async fn remove_of_gone(&self, progress: &Progress) -> Outcome {
        let ours = self.remove(progress).await;
        let (Ok(host), None, false) = (&self.host, &ours.failure, ours.left.is_empty()) else { return ours };
        match host.remove_exactly(&self.domain, &self.wishes, progress).await {
            Ok((removed, left)) => {
                let removed = ours.removed.into_iter().chain(removed).collect();
                Outcome { removed, left, ..self.kept("") }.without_failure()
            }
            Err(error) => {
                progress.warn(error.to_string());
                ours
            }
        }
    }

    /// Returns the outcome in which all records are left, for this reason.
    pub fn kept(&self, why: &str) -> Outcome {
        Outcome {
            provider: self.provider.clone(),
            removed: Vec::new(),
            left: self.wishes.iter().map(Intent::key).collect(),
            failure: Some(why.to_owned()),
            advice: self.advice.clone(),
        }
    }
}

impl Outcome {
    /// Returns the outcome of removing these records at a host.
    pub(crate) fn of(
        provider: &str,
        wishes: &[Intent],
        removed: Result<(Vec<RecordKey>, Vec<RecordKey>)>,
    ) -> Self {
        let all = || wishes.iter().map(Intent::key).collect();
        let (removed, left, failure) = match removed {
            Ok((removed, left)) => (removed, left, None),
            Err(error) => (Vec::new(), all(), Some(error.to_string())),
        };
        Self { provider: provider.into(), removed, left, failure, advice: None }
    }

    fn without_failure(self) -> Self {
        Self { failure: None, ..self }
    }

    /// Returns the command that removes what was left, as the caller gave it.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// The outcome for programs; the reason and the command are those of all records that stay.
    pub fn to_json(&self) -> Value {
        let names = |keys: &[RecordKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "provider": self.provider, "removed": names(&self.removed), "left": names(&self.left),
            "reason": self.failure, "command": self.failure.as_ref().and(self.advice()),
        })
    }

    /// Returns what was left and why, for display, or `None` if nothing was left.
    pub fn stays(&self) -> Option<String> {
        let (all, provider) = (keys(&self.left), &self.provider);
        let advice =
            self.advice.as_ref().map(|advice| format!("; `{advice}` removes them")).unwrap_or_default();
        match &self.failure {
            Some(why) => Some(format!("the DNS records {all} stay at {provider}: {why}{advice}")),
            None if self.left.is_empty() => None,
            None => Some(format!("{all} at {provider} is not what this computer wrote, and stays")),
        }
    }
}

/// Joins the names of record sets to a list for display.
pub(crate) fn keys(keys: &[RecordKey]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
