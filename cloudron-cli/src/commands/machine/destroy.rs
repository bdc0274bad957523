//! `cloudron machine destroy`

use cloudron_core::{Domain, Error, Result, codes};
use cloudron_machine::access::key_file;
use cloudron_machine::clouds::{Provider, SshLogin};
use cloudron_machine::destroy::{DestroyOptions, Destroyed, Known};
use cloudron_machine::dns::Removal;
use cloudron_machine::{DnsRecords, Kept, Machine, Manager};
use cloudron_provision::codes as provision;
use cloudron_provision::steps::RunSummary;

use super::Which;
use crate::codes::MACHINE_UNKNOWN as UNKNOWN;
use crate::commands::cloud::account::{Place, provider};
use crate::commands::dns::account::Credentials;
use crate::commands::dns::provider::Host;
use crate::hints;
use crate::machines::manager;
use crate::output::{self, Output};
use crate::runtime::{block_on, interruptible};
use crate::secrets;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// Remove the backups as well
    #[arg(long)]
    delete_backups: bool,
    /// Forget the machine even when it cannot be reached
    #[arg(long)]
    forget: bool,
    /// Leave the DNS records that its creation wrote
    #[arg(long, conflicts_with = "tsig_key_file")]
    keep_dns: bool,
    /// The cloud that has the machine, on a computer that does not know the machine
    #[arg(long, value_name = "CLOUD", value_parser = provider())]
    provider: Option<Provider>,
    /// The private key of such a machine, with which its disk is searched for the only backups
    #[arg(long, value_name = "KEY", requires = "provider")]
    ssh_key: Option<String>,
    /// The user to log in as there
    #[arg(long, value_name = "USER", requires = "provider")]
    ssh_user: Option<String>,
    /// The port that SSH listens on there, besides 202
    #[arg(long, value_name = "PORT", requires = "provider", default_value_t = 22)]
    ssh_port: u16,
    /// The token of the DNS host of a machine at a cloud, where --token is that of the cloud
    #[arg(long, value_name = "SECRET", conflicts_with = "keep_dns")]
    dns_token: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    credentials: Credentials,
}

impl Options {
    fn how(&self) -> DestroyOptions {
        let Self { delete_backups, forget, keep_dns, .. } = *self;
        DestroyOptions { delete_backups, forget, keep_dns }
    }
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let (manager, domain) = (manager(out)?, options.which.domain()?);
    secrets::one_stdin(&[
        options.credentials.token(),
        options.place.secret_access_key.as_ref(),
        options.dns_token.as_ref(),
    ])?;
    let known = match (manager.known(&domain), options.provider) {
        (Err(error), Some(cloud)) if error.is(&UNKNOWN) => {
            return unknown(options, manager, cloud, &domain, out);
        }
        (known, _) => known?,
    };
    let (manager, at) = options.with_account(manager, &known, out)?;
    let written = known.dns()?;
    let removal = |records| removal((options, at), &domain, records, &manager, out);
    let dns = written.iter().map(|records| records.as_ref().map(removal).transpose());
    let dns: Vec<Option<Removal>> = dns.collect::<Result<_>>()?;
    let asked = dns.iter().flatten().next();
    if at.is_none() && options.keep_dns && options.credentials.are_given() {
        let message = "--token cannot be used with --keep-dns: nothing is changed at the DNS host";
        return Err(Error::new(&codes::USAGE, message));
    }
    if at.is_none() && options.credentials.are_given() && asked.is_none() && !matches!(known, Known::Kept(_))
    {
        let message = format!("an account at a DNS host means nothing: no records were written for {domain}");
        return Err(Error::new(&codes::USAGE, message));
    }
    match &known {
        Known::Machine(machine, runs) => living((options, &manager), machine, runs, asked, out),
        Known::Runs(runs) => {
            out.agreed(&options.how().question(&domain, asked), "nothing was removed")?;
            let done = block_on(|_| async { manager.destroy_unfinished(runs, dns, &options.how()).await });
            let done = done.map_err(|e| lost(e, &domain))?;
            report(&domain, &done, &format!("The unfinished run of {domain} was rolled back"), out)
        }
        Known::Kept(kept) => left((options, &manager), kept, out),
    }
}

impl Options {
    /// Adds the account at the cloud that has the machine. Also returns the cloud.
    fn with_account(
        &self,
        manager: Manager,
        known: &Known,
        out: &Output,
    ) -> Result<(Manager, Option<Provider>)> {
        let (id, region) = match known {
            Known::Machine(machine, _) => {
                let place = machine.reach.cloud();
                (place.map(|place| &*place.provider), place.and_then(|place| place.region.clone()))
            }
            Known::Runs(runs) => (runs.first().map(|run| &*run.spec.provider), None),
            Known::Kept(kept) => return Ok((self.with_buckets(manager, kept.cloud(), out)?, None)),
        };
        let cloud = id.and_then(|id| Provider::find(id).ok());
        if let Some(other) = self.provider.filter(|given| Some(*given) != cloud) {
            let message =
                format!("the machine is not at {}, but at {}", other.description(), id.unwrap_or("no cloud"));
            return Err(Error::new(&codes::USAGE, message));
        }
        let Some(cloud) = cloud.filter(|_| !self.forget) else {
            return if self.place.is_given() { Err(meaningless()) } else { Ok((manager, cloud)) };
        };
        let mut place = self.place.clone();
        place.region = place.region.or(region);
        let (token, ca_file) = (self.credentials.token(), self.credentials.ca_file());
        let account = place.account(cloud, token, ca_file, out)?;
        Ok((self.with_buckets(manager.with_account(account), Some(cloud), out)?, Some(cloud)))
    }

    /// Lets buckets be opened with the key that the options give.
    fn with_buckets(&self, manager: Manager, at: Option<Provider>, out: &Output) -> Result<Manager> {
        match self.place.is_given() {
            true => Ok(manager.opening_buckets(self.place.stores(at.is_none_or(Provider::is_amazon), out)?)),
            false => Ok(manager),
        }
    }
}

fn meaningless() -> Error {
    Error::new(&codes::USAGE, "an account at a cloud means nothing: no cloud made this machine")
}

/// Destroys a machine that another computer made, by its marks at the cloud.
fn unknown(
    options: &Options,
    manager: Manager,
    cloud: Provider,
    domain: &Domain,
    out: &Output,
) -> Result<()> {
    let (token, ca_file) = (options.credentials.token(), options.credentials.ca_file());
    let manager = manager.with_account(options.place.account(cloud, token, ca_file, out)?);
    let (manager, how) = (options.with_buckets(manager, Some(cloud), out)?, options.how());
    let (key, user) = (key_file(options.ssh_key.as_deref())?, options.ssh_user.clone());
    let login = SshLogin { key, user, port: options.ssh_port };
    let remains = interruptible(manager.remains(domain))?;
    let dns = match how.keep_dns {
        true => None,
        false => interruptible(manager.account_dns(domain))?,
    };
    let items: Vec<String> =
        remains.items().iter().map(|item| format!("{} {}", item.kind, item.name)).collect();
    out.say(&format!("{} has of {domain}: {}", cloud.description(), items.join(", ")));
    out.agreed(&how.question(domain, None), "nothing was removed")?;
    let done = block_on(|_| async { manager.destroy_remains(&remains, &login, dns.as_ref(), &how).await })?;
    report(domain, &done, &format!("{domain} was destroyed"), out)
}

/// Destroys an existing machine.
fn living(
    (options, manager): (&Options, &Manager),
    machine: &Machine,
    runs: &[RunSummary],
    dns: Option<&Removal>,
    out: &Output,
) -> Result<()> {
    let (domain, how) = (&machine.fqdn, options.how());
    block_on(|_| async { manager.check_bucket(machine, &how).await })?;
    out.agreed(&how.question(domain, dns), "nothing was removed")?;
    let done = block_on(|_| async { manager.destroy(machine, runs, dns, &how).await });
    let done = done.map_err(|e| lost(hints::of_machine(e, machine), domain))?;
    let too = if done.kept.is_none() { ", and its backups" } else { "" };
    report(domain, &done, &format!("{domain} was destroyed{too}"), out)
}

/// Removes the backups of a destroyed machine, or forgets them.
fn left((options, manager): (&Options, &Manager), kept: &Kept, out: &Output) -> Result<()> {
    let (domain, place) = (&kept.fqdn, kept.place());
    if options.forget {
        out.agreed(&format!("Forget that backups of {domain} are {place}?"), "nothing was forgotten")?;
        manager.kept().remove(domain)?;
        let gone = format!("{domain} is forgotten. Its backups stay {place}");
        return report(domain, &Destroyed::default(), &gone, out);
    }
    if !options.delete_backups {
        return options.which.machine().map(drop);
    }
    let removed = block_on(|_| async {
        if let Some(found) = manager.look_at_kept(kept).await? {
            let question = format!("Remove ALL BACKUPS of {domain} {place} ({})?", found.holds());
            out.agreed(&question, "nothing was removed")?;
        }
        manager.remove_kept(kept).await
    });
    let hint = format!(
        "`cloudron machine adopt {domain}` manages it again, then `cloudron machine destroy {domain} --delete-backups` \
         removes both"
    );
    removed.map_err(hints::on(&provision::MACHINE_CARRIES_SERVER, &hint))?;
    report(domain, &Destroyed::default(), &format!("The backups of {domain} {place} were removed"), out)
}

/// Reports what was removed, what was kept, and how to access it.
fn report(domain: &Domain, done: &Destroyed, gone: &str, out: &Output) -> Result<()> {
    out.data("machines", &[done.to_json(domain)], || output::lines(done.lines(gone)))?;
    if done.kept.is_some() {
        out.say(&format!(
            "  `cloudron machine backup list {domain}` lists them, `cloudron machine backup download {domain} \
             --repository DIR` copies them here,\n  `cloudron machine destroy {domain} --delete-backups` removes them."
        ));
    }
    Ok(())
}

/// Returns the removal of the records written for a machine, with the account for it.
///
/// # Errors
/// If credentials are given that cannot be used.
fn removal(
    (options, at): (&Options, Option<Provider>),
    domain: &Domain,
    records: &DnsRecords,
    manager: &Manager,
    out: &Output,
) -> Result<Removal> {
    let given = match at {
        // The token is that of the cloud.
        Some(_) => options.credentials.with_token(options.dns_token.clone()),
        None => options.credentials.clone(),
    };
    let host = Host::remembered(records, &given);
    let named = host.as_ref().map_or_else(|_| format!("--provider {}", records.provider), Host::options);
    let own = at.filter(|_| options.dns_token.is_none()).map(|_| manager.own_dns(records)).transpose()?;
    let host = match own.flatten() {
        Some(own) => Ok(own),
        None => host.and_then(|host| host.open(&[], out).map(|provider| host.for_machine(provider))),
    };
    let host = match host {
        Err(error) if given.are_given() => return Err(error),
        host => host,
    };
    let addresses: String = records.addresses.iter().map(|address| format!(" --ip {address}")).collect();
    let below = if domain.is_subdomain() { " --allow-subdomain" } else { "" };
    let command = format!("cloudron dns apply {domain} {named} --machine{addresses}{below} --remove");
    Ok(manager.removal(domain, records, host)?.advising(command))
}

/// Adds a hint to the error for a machine that is permanently lost.
fn lost(error: Error, domain: &Domain) -> Error {
    let error = hints::complete(error, Some(domain));
    let before = error.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
    if before.contains("--forget") {
        return error;
    }
    error.with_hint(format!(
        "{before}if the machine is lost for good, `cloudron machine destroy {domain} --forget` removes what this \
         computer knows of it"
    ))
}
