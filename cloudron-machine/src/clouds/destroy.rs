//! Removing a machine at a cloud: with its record, or by its marks on a computer that never saw it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use cloudron_core::{Domain, Error, Result};
use cloudron_dns::{MailSettings, machine_records};
use cloudron_provision::cloud::{CloudHost, Item, remove_items};
use cloudron_provision::steps::RunSummary;

use super::{Account, as_cloud, own_host};
use crate::backups::{self, folder_of};
use crate::codes;
use crate::destroy::{DestroyOptions, Destroyed};
use crate::dns::{DnsHost, Outcome, Removal, both_families};
use crate::kept::Kept;
use crate::manager::Manager;
use crate::registry::{CloudPlace, DnsRecords, Machine, Reach, SshReach};

/// What a cloud has of a machine that this computer has no record of.
pub struct Remains {
    domain: Domain,
    account: Arc<Account>,
    host: Arc<dyn CloudHost>,
    items: Vec<Item>,
    addresses: BTreeSet<IpAddr>,
}

/// The login to a machine that this computer has no record of.
#[derive(Debug, Clone)]
pub struct SshLogin {
    /// The private key file. If `None`, the SSH agent is used.
    pub key: Option<PathBuf>,
    /// The user. If `None`, as the machine's marks say, or root.
    pub user: Option<String>,
    /// The port, besides 202.
    pub port: u16,
}

impl Default for SshLogin {
    /// Logs in with the SSH agent's keys, on port 22 or 202.
    fn default() -> Self {
        Self { key: None, user: None, port: 22 }
    }
}

impl Remains {
    /// Returns the domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Returns everything that carries the machine's marks, in the order of its removal.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Returns the addresses of its machines, also of those that an interrupted removal has removed already.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.addresses.iter().copied().collect()
    }
}

impl Manager {
    /// Finds what the account has of a machine, by its marks. Needs no record.
    ///
    /// # Errors
    /// `machine-unknown` with the details `provider` and `domain` if there is nothing; any error of the cloud.
    pub async fn remains(&self, domain: &Domain) -> Result<Remains> {
        let account = self.any_account()?.clone();
        let host = self.existing(&account)?;
        let items = host.inventory(domain.as_str()).await?;
        let mut addresses: BTreeSet<IpAddr> = items.iter().flat_map(|item| item.addresses.clone()).collect();
        let begun = self.begun_removals().find(domain)?;
        addresses.extend(begun.iter().flat_map(|begun| begun.addresses.clone()));
        if items.is_empty() && begun.is_none() {
            return Err(nothing(domain, &account));
        }
        Ok(Remains { domain: domain.clone(), account, host, items, addresses })
    }

    /// Returns the cloud's own DNS host, if the account has a zone for the domain there.
    ///
    /// # Errors
    /// Errors of the DNS host.
    pub async fn account_dns(&self, domain: &Domain) -> Result<Option<DnsHost>> {
        let (id, provider) = own_host(self.any_account()?)?;
        let host = DnsHost::new(id, provider);
        Ok(host.has_zone(domain).await?.then_some(host))
    }

    /// Returns the cloud's own DNS host, if there is an account and the records of a machine were written there. Sends
    /// nothing.
    ///
    /// # Errors
    /// Same as for opening the host.
    pub fn own_dns(&self, records: &DnsRecords) -> Result<Option<DnsHost>> {
        let Ok(account) = self.any_account() else { return Ok(None) };
        if account.provider().dns_host() != records.provider || records.zone.is_some() {
            return Ok(None);
        }
        let (id, provider) = own_host(&Account::clone(account).with_dns_of(records))?;
        Ok(Some(DnsHost::new(id, provider)))
    }

    /// Removes everything that carries the marks of a machine, and at the DNS host the records with exactly its addresses.
    /// The login is to see whether the only backups are on the machine's disk.
    ///
    /// # Errors
    /// `backups-on-machine`; `undo-failed` with a list of what is left; any error of the cloud.
    pub async fn destroy_remains(
        &self,
        remains: &Remains,
        ssh: &SshLogin,
        dns: Option<&DnsHost>,
        options: &DestroyOptions,
    ) -> Result<Destroyed> {
        let domain = &remains.domain;
        let begun = self.begun_removals();
        let mut kept = begun.find(domain)?.and_then(|begun| begun.kept);
        for item in remains.items.iter().filter(|item| item.is_machine()) {
            let login = self.login(&remains.account, ssh.key.as_deref()).on_port(ssh.port);
            let login = match &ssh.user {
                Some(user) => login.as_user(user),
                None => login,
            };
            let said = match options.delete_backups {
                false => self.refuse_only_copy_of(domain, item, login).await?,
                // Only to find the bucket.
                true => self.describe(item, login).await.ok().flatten().map(|(_, said)| said),
            };
            if let Some(store) = said.map(|said| said.store).filter(|store| folder_of(store).is_none()) {
                kept = Some(kept_of(remains, item, ssh, store));
            }
        }
        if let Some(kept) = kept.as_ref().filter(|_| options.delete_backups) {
            // Only the machine knows the bucket, so that it stays until the bucket can be opened.
            backups::look(&self.folder(&kept.store)?.store()?).await?;
        }
        begun.put(domain, &remains.addresses, kept.as_ref())?;
        let items = remains.items.clone();
        let removed = remove_items(as_cloud(&remains.host), items, self.progress(), self.cancel()).await?;
        if let Some(kept) = kept.take_if(|_| options.delete_backups) {
            backups::remove(&self.folder(&kept.store)?).await?;
        }
        let dns = match dns.filter(|_| !options.keep_dns) {
            Some(host) => Some(self.remove_exact_records(domain, &remains.addresses(), host).await?),
            None => None,
        };
        if let Some(kept) = &kept {
            self.kept().put(kept)?;
        }
        begun.remove(domain)?;
        Ok(Destroyed { kept, dns, removed })
    }

    /// Removes a machine with its record: at the cloud, then its DNS records, then the record. Continues where an earlier
    /// removal was interrupted. With `forget`, only the record is removed.
    pub(crate) async fn destroy_at_cloud(
        &self,
        (machine, place): (&Machine, &CloudPlace),
        runs: &[RunSummary],
        dns: Option<&Removal>,
        options: &DestroyOptions,
    ) -> Result<Destroyed> {
        let domain = &machine.fqdn;
        if options.forget {
            let kept = self.kept_of(machine, true);
            self.kept().put(&kept)?;
            self.drop_records(domain, runs)?;
            let dns = dns.map(|dns| dns.kept("the machine was only forgotten"));
            return Ok(Destroyed { kept: Some(kept), dns, removed: Vec::new() });
        }
        let account = self.account_at(place, domain)?;
        let host = self.existing(&account)?;
        let items = host.inventory(domain.as_str()).await?;
        if items.is_empty() && !machine.destroying {
            return Err(not_there(machine, place, &account));
        }
        if !options.delete_backups && items.iter().any(|item| item.is_machine() && !item.is_going()) {
            self.refuse_only_copy(machine).await?;
        }
        self.machines().put(&Machine { destroying: true, ..machine.clone() })?;
        let removed = remove_items(as_cloud(&host), items, self.progress(), self.cancel()).await?;
        let in_bucket = folder_of(&machine.store).is_none();
        if options.delete_backups && in_bucket {
            backups::remove(&self.folder(&machine.store)?).await?;
        }
        let dns = match dns {
            Some(dns) => Some(self.remove_records_of_gone(dns, options).await),
            None => None,
        };
        let kept = (!options.delete_backups && in_bucket).then(|| self.kept_of(machine, false));
        if let Some(kept) = &kept {
            self.kept().put(kept)?;
        }
        self.drop_records(domain, runs)?;
        Ok(Destroyed { kept, dns, removed })
    }

    fn drop_records(&self, domain: &Domain, runs: &[RunSummary]) -> Result<()> {
        self.machines().remove(domain)?;
        runs.iter().try_for_each(|run| self.runner().abandon(&run.run))
    }

    /// Removes the records with exactly these addresses. A failure is part of the outcome, unless the user stopped it.
    async fn remove_exact_records(
        &self,
        domain: &Domain,
        addresses: &[IpAddr],
        host: &DnsHost,
    ) -> Result<Outcome> {
        let wishes = machine_records(domain, &both_families(addresses), &MailSettings::off())?;
        let outcome = tokio::select! {
            removed = host.remove_exactly(domain, &wishes, self.progress()) => Outcome::of(&host.id, &wishes, removed),
            () = self.cancel().cancelled() => return self.cancel().check().map(|()| Outcome::of(&host.id, &wishes, Ok(Default::default()))),
        };
        if let Some(stays) = outcome.stays() {
            self.progress().warn(stays);
        }
        Ok(outcome)
    }
}

/// The error for a domain of which the cloud has nothing.
fn nothing(domain: &Domain, account: &Account) -> Error {
    let provider = account.provider();
    let place = account.region().map(|region| format!(" in {region}")).unwrap_or_default();
    let message = format!(
        "{} has nothing{place} with the marks of {domain}, and this computer has no record of it",
        provider.description()
    );
    Error::new(&codes::MACHINE_UNKNOWN, message)
        .with_detail("provider", provider.id())
        .with_detail("domain", domain.as_str())
}

/// The error for a recorded machine that the account does not have.
fn not_there(machine: &Machine, place: &CloudPlace, account: &Account) -> Error {
    let region = place.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    let message = format!(
        "the account at {} has nothing with the marks of {}; it is recorded as the machine {}{region}",
        account.provider().description(),
        machine.fqdn,
        place.id,
    );
    Error::new(&codes::NOT_IN_ACCOUNT, message)
        .with_detail("provider", &place.provider)
        .with_detail("domain", machine.fqdn.as_str())
}

/// Returns the record of the backups in the bucket of a machine that is removed by its marks.
fn kept_of(remains: &Remains, item: &Item, ssh: &SshLogin, store: String) -> Kept {
    let cloud = CloudPlace {
        provider: remains.account.provider().id().into(),
        region: item.region.clone(),
        id: item.id.clone(),
        run: item.marks.run.clone(),
    };
    let reach = Reach::Generic(SshReach {
        host: item.addresses.first().map(ToString::to_string).unwrap_or_default(),
        ssh_port: crate::access::SSH_PORT,
        ssh_user: ssh.user.clone().or_else(|| item.marks.user.clone()).unwrap_or_else(|| "root".into()),
        ssh_key: ssh.key.clone(),
        host_keys: Vec::new(),
        cloud: Some(cloud),
    });
    let (fqdn, since) = (remains.domain.clone(), SystemTime::now());
    Kept { schema: 1, fqdn, reach, store, since, forgotten: false }
}
