//! Taking back the DNS records that the creation of a machine wrote.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_core::{Domain, Error, Progress, Result};
use cloudron_dns::managed::{Access, ManagedZone, OwnershipFile};
use cloudron_dns::{DnsProvider, Intent, MailSettings, Name, PlanOptions, RecordKey, machine_records};
use serde_json::{Value, json};

use crate::commands::dns::account::Credentials;
use crate::commands::dns::provider::Host;
use crate::commands::dns::work::keys;
use crate::output::Output;
use crate::records::both_families;
use crate::state::{Dirs, DnsRecords};

/// Removes what is ours of the records at a host; what was removed, and what stays because it is not ours.
pub(super) async fn take_back(
    host: &Host,
    provider: Arc<dyn DnsProvider>,
    domain: &Domain,
    wishes: &[Intent],
    folder: &Path,
    progress: &Progress,
) -> Result<(Vec<RecordKey>, Vec<RecordKey>)> {
    let zone = host.find_zone(&*provider, &Name::from(domain)).await?;
    let owned = OwnershipFile::at(folder, &host.id(), &zone);
    let options = PlanOptions::default();
    let planned = ManagedZone::new(provider, zone, owned).removal(wishes, &options, Access::Write).await?;
    planned.plan.check()?;
    planned.apply(progress).await?;
    let gone = planned.plan.changes.iter().map(|change| change.key().clone()).collect();
    Ok((gone, planned.left))
}

/// The records of a machine, and the account to take them back with.
pub(super) struct Records {
    domain: Domain,
    provider: String,
    addresses: Vec<IpAddr>,
    wishes: Vec<Intent>,
    folder: PathBuf,
    account: Result<(Host, Arc<dyn DnsProvider>)>,
    /// The options of the host, for the command that a person is told.
    options: String,
}

/// What became of the records.
pub(super) struct Outcome {
    provider: String,
    removed: Vec<RecordKey>,
    left: Vec<RecordKey>,
    /// Why all of them are left, and the command that removes them; otherwise, what is left is not what was written.
    failure: Option<(String, String)>,
}

impl Records {
    /// The records that a machine's state speaks of. That there are no credentials, or that those of then are gone,
    /// is found out here and is no error yet.
    ///
    /// # Errors
    /// When credentials are given that cannot be used.
    pub(super) fn open(
        domain: &Domain,
        records: &DnsRecords,
        credentials: &Credentials,
        dirs: &Dirs,
        out: &Output,
    ) -> Result<Self> {
        let host = Host::remembered(records, credentials.clone());
        let options =
            host.as_ref().map_or_else(|_| format!("--provider {}", records.provider), Host::options);
        let account = host.and_then(|host| host.open(&[], out).map(|provider| (host, provider)));
        let account = match account {
            Err(error) if credentials.are_given() => return Err(error),
            account => account,
        };
        let wishes = machine_records(domain, &both_families(&records.addresses), &MailSettings::off())?;
        let (provider, addresses) = (records.provider.clone(), records.addresses.clone());
        Ok(Self { domain: domain.clone(), provider, addresses, wishes, folder: dirs.dns(), account, options })
    }

    /// The name of the DNS host.
    pub(super) fn host(&self) -> &str {
        &self.provider
    }

    /// Why they will stay, when that is known before anything is done.
    pub(super) fn obstacle(&self) -> Option<&Error> {
        self.account.as_ref().err()
    }

    /// Removes what is ours of them. That it is not possible is part of the outcome: the machine is gone already.
    pub(super) async fn take_back(&self, progress: &Progress) -> Outcome {
        let (host, provider) = match &self.account {
            Ok((host, provider)) => (host, provider.clone()),
            Err(error) => return self.kept(&error.to_string()),
        };
        match take_back(host, provider, &self.domain, &self.wishes, &self.folder, progress).await {
            Ok((removed, left)) => Outcome { provider: self.provider.clone(), removed, left, failure: None },
            Err(error) => self.kept(&error.to_string()),
        }
    }

    /// Nobody takes them back, for this reason.
    pub(super) fn kept(&self, why: &str) -> Outcome {
        Outcome {
            provider: self.provider.clone(),
            removed: Vec::new(),
            left: self.wishes.iter().map(Intent::key).collect(),
            failure: Some((why.to_owned(), self.command())),
        }
    }

    /// The command that removes them by hand.
    fn command(&self) -> String {
        let addresses: String = self.addresses.iter().map(|address| format!(" --ip {address}")).collect();
        let below = if self.domain.is_subdomain() { " --allow-subdomain" } else { "" };
        format!("cloudron dns apply {} {} --machine{addresses}{below} --remove", self.domain, self.options)
    }
}

impl Outcome {
    /// What stays, why, and the command to run; `None` when nothing stays.
    pub(super) fn stays(&self) -> Option<String> {
        let (all, provider) = (keys(&self.left), &self.provider);
        match &self.failure {
            Some((why, command)) => {
                Some(format!("the DNS records {all} stay at {provider}: {why}; `{command}` removes them"))
            }
            None if self.left.is_empty() => None,
            None => Some(format!("{all} at {provider} is not what this computer wrote, and stays")),
        }
    }

    /// A sentence on what is gone; `None` when nothing is.
    pub(super) fn gone(&self) -> Option<String> {
        let gone = || format!("The DNS records {} at {} are gone", keys(&self.removed), self.provider);
        (!self.removed.is_empty()).then(gone)
    }

    pub(super) fn json(&self) -> Value {
        let names = |keys: &[RecordKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (why, command) = self.failure.clone().unzip();
        json!({
            "provider": self.provider,
            "removed": names(&self.removed),
            "left": names(&self.left),
            "reason": why,
            "command": command,
        })
    }
}
