//! `cloudron machine create generic`

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cloudron_core::{Domain, Error, Result, ResultExt, codes as core_codes};
use cloudron_dns::hosts;
use cloudron_dns::propagation::name_server;
use cloudron_machine::DnsRecords;
use cloudron_machine::access::{LIMIT, key_file};
use cloudron_machine::backups::folder_of;
use cloudron_machine::create::{Dns, GenericHost, Occupied, On};
use cloudron_provision::quote;

use super::common::Common;
use crate::commands::dns::account::Account;
use crate::commands::dns::provider::Host;
use crate::machines::manager;
use crate::output::Output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// The machine's address
    #[arg(long, value_name = "ADDRESS")]
    ip: IpAddr,
    /// The private key: a file, or the K of ~/.ssh/K, ~/.ssh/id_rsa_K or ~/.ssh/id_ed25519_K; without it, the
    /// agent and the usual keys
    #[arg(long, value_name = "KEY")]
    ssh_key: Option<String>,
    /// The port that SSH listens on now
    #[arg(long, value_name = "PORT", default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    ssh_port: u16,
    /// Leave SSH on the port where it is, such as behind a firewall that lets no other one through
    #[arg(long)]
    keep_ssh_port: bool,
    /// The user to log in as; a user other than root needs passwordless sudo
    #[arg(long, value_name = "USER", default_value = "root", alias = "user")]
    ssh_user: String,
    /// The fingerprint of the machine's host key; without it, known_hosts and a question
    #[arg(long, value_name = "SHA256:…")]
    host_key: Option<String>,
    /// How long to wait for the machine to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    connect_timeout: u64,
    /// The program to install, if the machine has another architecture than this computer
    #[arg(long, value_name = "FILE")]
    server_binary: Option<PathBuf>,
    /// Where the server keeps its backups: s3://BUCKET/PREFIX; without it, a folder of the machine. With --backup also a
    /// folder of this computer, which is copied to the machine
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The DNS host that the records are written to, as for `cloudron dns`; or wildcard: you set them at any host, and
    /// they are checked; or none: they are not looked at
    #[arg(long, default_value = "wildcard", value_name = "HOW", value_parser = how)]
    dns: How,
    /// Ask this name server rather than find the authoritative ones (repeatable)
    #[arg(long, value_name = "ADDRESS", value_parser = name_server)]
    name_server: Vec<SocketAddr>,
    #[command(flatten)]
    account: Account,
}

/// How the DNS records are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    None,
    At(hosts::Host),
}

fn how(text: &str) -> std::result::Result<How, String> {
    if text == "none" {
        return Ok(How::None);
    }
    hosts::Host::find(text).map(How::At).ok_or_else(|| {
        let names: Vec<&str> = hosts::Host::ALL.iter().map(|host| host.id()).collect();
        format!("expected none, {}", names.join(", "))
    })
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let (common, domain) = (&options.common, options.common.domain()?);
    let folder = options.store.as_deref().and_then(folder_of);
    GenericHost::check_store(options.store.as_deref(), common.backup.is_some() || common.resume)
        .hint(|| "give s3://BUCKET/PREFIX, or `--backup latest` to restore from that folder".to_owned())?;
    let created = host(options, out)
        .and_then(|host| {
            common.creation(
                &manager(out)?,
                On::Generic(Box::new(host)),
                (options.store.as_deref(), None),
                out,
            )
        })
        .and_then(|creation| common.create(creation, out));
    created.map_err(|e| advise(common.advise(e, &domain, folder.is_some()), options, &domain))
}

fn host(options: &Options, out: &Output) -> Result<GenericHost> {
    Ok(GenericHost {
        ssh_key: key_file(options.ssh_key.as_deref())?,
        ssh_port: options.ssh_port,
        keep_ssh_port: options.keep_ssh_port,
        ssh_user: options.ssh_user.clone(),
        host_key: options.host_key.clone(),
        connect_timeout: Duration::from_secs(options.connect_timeout),
        program: options.server_binary.clone(),
        dns: dns(options, out)?,
        ..GenericHost::new(options.ip)
    })
}

/// Returns the request for the DNS records. They are written if the option names a host with an API.
fn dns(options: &Options, out: &Output) -> Result<Dns> {
    let name_servers = options.name_server.clone();
    match options.dns {
        How::At(kind) if !kind.is_by_hand() => {
            let host = Host::new(kind, &options.account);
            let provider = host.open(&[], out)?;
            let records = DnsRecords::written(host.id(), vec![options.ip], host.account())?;
            Ok(Dns::Write { host: host.for_machine(provider), records: Box::new(records), name_servers })
        }
        _ if options.account.is_given() => Err(Error::new(
            &core_codes::USAGE,
            "an account at a DNS host means nothing without --dns and the name of the host",
        )),
        How::At(_) => Ok(Dns::Check { name_servers }),
        How::None => Ok(Dns::None),
    }
}

/// Adds a hint to the error: for another server on the machine, or records of others.
fn advise(error: Error, options: &Options, domain: &Domain) -> Error {
    let source = std::error::Error::source(&error);
    if let Some(Occupied(server)) = source.and_then(|source| source.downcast_ref()) {
        let adopt = adopt_command(server, options);
        let hint = match server == domain {
            true => format!("`{adopt}` manages it from this computer"),
            false => format!(
                "use another machine, or remove that server with `{adopt}` and then `cloudron machine destroy {server}`"
            ),
        };
        return error.with_hint(hint);
    }
    if let (true, How::At(kind)) = (error.is(&cloudron_dns::codes::CONFLICT), options.dns) {
        let host = Host::new(kind, &options.account);
        return error.with_hint(format!(
            "remove these records, or take them over with `cloudron dns apply {domain} {} --machine --ip {} --adopt all`, \
             and run this again",
            host.options(),
            options.ip
        ));
    }
    error
}

/// Returns the `adopt` command for a server reached with these options.
fn adopt_command(domain: &Domain, options: &Options) -> String {
    let mut words = vec![format!("cloudron machine adopt {domain} --ip {}", options.ip)];
    if let Some(key) = &options.ssh_key {
        words.push(format!("--ssh-key {}", quote::argument(key)));
    }
    words.push(format!("--ssh-port {}", options.ssh_port));
    if options.ssh_user != "root" {
        words.push(format!("--ssh-user {}", quote::argument(&options.ssh_user)));
    }
    if let Some(key) = &options.host_key {
        words.push(format!("--host-key {}", quote::argument(key)));
    }
    words.join(" ")
}
