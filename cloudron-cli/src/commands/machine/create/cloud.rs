//! `cloudron machine create ec2`, `digitalocean` and `hetzner`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cloudron_core::{Domain, Error, Result, codes};
use cloudron_dns::hosts::{self, Setting};
use cloudron_dns::propagation::name_server;
use cloudron_machine::DnsRecords;
use cloudron_machine::access::key_file;
use cloudron_machine::clouds::{CloudMachine, Provider};
use cloudron_machine::create::{Dns, DryRun, On};
use cloudron_provision::cloud::Plan;
use serde_json::json;

use super::bucket::Bucket;
use super::common::Common;
use crate::commands::cloud::account::Account;
use crate::commands::cloud::settings::Settings;
use crate::commands::dns::provider::Host;
use crate::machines::manager;
use crate::output::{Output, lines};
use crate::runtime::interruptible;
use crate::secrets;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// The private key, whose public half the machine is given: a file, or the K of ~/.ssh/K, ~/.ssh/id_rsa_K or
    /// ~/.ssh/id_ed25519_K
    #[arg(long, value_name = "KEY")]
    ssh_key: String,
    /// The user to log in as, with passwordless sudo unless it is root; otherwise the one that the image has, or root
    #[arg(long, value_name = "USER")]
    ssh_user: Option<String>,
    /// The port that SSH listens on in the image
    #[arg(long, value_name = "PORT", default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    ssh_port: u16,
    /// Leave SSH on that port, which is moved to 202 otherwise
    #[arg(long)]
    keep_ssh_port: bool,
    /// How long to wait for the machine to boot, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    connect_timeout: u64,
    /// The program to install, if the machine has another architecture than this computer
    #[arg(long, value_name = "FILE")]
    server_binary: Option<PathBuf>,
    #[command(flatten)]
    bucket: Bucket,
    /// The DNS host that the records are written to; own is the cloud's own. Or wildcard: you set them at any host, and
    /// they are checked; or none: they are not looked at
    #[arg(long, default_value = "own", value_name = "HOW", value_parser = how)]
    dns: How,
    /// The token of the DNS host, if it is not the cloud's own; otherwise as for `cloudron dns`
    #[arg(long, value_name = "SECRET")]
    dns_token: Option<String>,
    /// Ask this name server rather than find the authoritative ones (repeatable)
    #[arg(long, value_name = "ADDRESS", value_parser = name_server)]
    name_server: Vec<SocketAddr>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    account: Account,
}

/// How the DNS records are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    None,
    Own,
    At(hosts::Host),
}

fn how(text: &str) -> std::result::Result<How, String> {
    // A server that takes dynamic updates has an address of its own, which only `create generic` knows.
    let mut known = hosts::Host::ALL.iter().copied().filter(|host| !host.takes(Setting::Server));
    match text {
        "none" => Ok(How::None),
        "own" => Ok(How::Own),
        text => known.clone().find(|host| host.id() == text).map(How::At).ok_or_else(|| {
            let names: Vec<&str> = known.by_ref().map(hosts::Host::id).collect();
            format!("expected own, none, {}", names.join(", "))
        }),
    }
}

pub(crate) fn run(cloud: &str, options: &Options, out: &Output) -> Result<()> {
    let (common, domain) = (&options.common, options.common.domain()?);
    let created = begin(Provider::find(cloud)?, options, &domain, out);
    created.map_err(|e| common.advise(e, &domain, false))
}

fn begin(provider: Provider, options: &Options, domain: &Domain, out: &Output) -> Result<()> {
    let (common, Account { place, token, ca_file }) = (&options.common, &options.account);
    let secrets = [token.as_ref(), place.secret_access_key.as_ref(), options.dns_token.as_ref()];
    secrets::one_stdin(&[&secrets[..], &common.secrets()[..]].concat())?;
    if !options.bucket.is_given() {
        place.without_key(provider)?;
    }
    let account = place.account(provider, token.as_ref(), ca_file.clone(), out)?;
    let mut manager = manager(out)?.with_account(account);
    let (url, owner) = options.bucket.store(domain, place, provider.is_amazon(), out)?.unzip();
    if let Some(owner) = &owner {
        manager = manager.opening_buckets(owner.clone());
    }
    let machine = On::Cloud(Box::new(options.machine(out)?));
    let creation = common.creation(&manager, machine, (url.as_deref(), owner.as_ref()), out)?;
    match common.dry_run {
        false => common.create(creation, out),
        true => show(&interruptible(creation.dry_run())?, out),
    }
}

/// Prints what would be done and made.
fn show(DryRun { steps, cloud, records, .. }: &DryRun, out: &Output) -> Result<()> {
    if out.is_json() {
        let records = records.as_ref().map(|(host, sets)| json!({ "host": host, "sets": sets }));
        let plan = cloud.as_ref().map(Plan::to_json);
        return out.json_object(json!({ "steps": steps, "plan": plan, "records": records }));
    }
    let records = match records {
        None => "No DNS records are written.".to_owned(),
        Some((host, sets)) => {
            format!("DNS records at {host}:\n{}", lines(sets.iter().map(|set| format!("  {set}"))))
        }
    };
    let plan = cloud.as_ref().map(|plan| format!("\n\n{plan}")).unwrap_or_default();
    out.text(&format!("{}\n\n{records}{plan}", lines(steps)))
}

impl Options {
    fn machine(&self, out: &Output) -> Result<CloudMachine> {
        let mut machine = CloudMachine::new(key_file(Some(&self.ssh_key))?.unwrap_or_default());
        machine.settings = self.settings.in_region(self.account.place.region.clone());
        machine.ssh_user.clone_from(&self.ssh_user);
        machine.ssh_port = self.ssh_port;
        machine.keep_ssh_port = self.keep_ssh_port;
        machine.boot = Duration::from_secs(self.connect_timeout);
        machine.program.clone_from(&self.server_binary);
        machine.dns = self.dns(out)?;
        Ok(machine)
    }

    /// Returns the request for the DNS records.
    fn dns(&self, out: &Output) -> Result<Dns> {
        let name_servers = self.name_server.clone();
        match self.dns {
            How::At(kind) if !kind.is_by_hand() => {
                let endpoint =
                    self.account.place.endpoint.iter().find(|e| e.starts_with(&format!("{}=", kind.id())));
                let account = hosts::Account {
                    endpoint: endpoint.cloned(),
                    ca_file: self.account.ca_file.clone(),
                    ..hosts::Account::default()
                };
                let host = Host::at(kind, account, self.dns_token.clone());
                let provider = host.open(&[], out)?;
                let records = DnsRecords::written(host.id(), Vec::new(), host.account())?;
                Ok(Dns::Write { host: host.for_machine(provider), records: Box::new(records), name_servers })
            }
            _ if self.dns_token.is_some() => Err(Error::new(
                &codes::USAGE,
                "--dns-token means nothing without --dns and the name of the host",
            )),
            How::Own => Ok(Dns::Account { name_servers }),
            How::At(_) => Ok(Dns::Check { name_servers }),
            How::None => Ok(Dns::None),
        }
    }
}
