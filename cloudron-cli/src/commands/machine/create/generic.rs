//! `cloudron machine create generic`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use cloudron_box::install::Supervisor;
use cloudron_box::{Layout, layout};
use cloudron_core::{Domain, Error, Result, Version, codes as core_codes};
use cloudron_provision::facts::{Facts, Requirements};
use cloudron_provision::generic::Generic;
use cloudron_provision::ssh::SshTarget;
use cloudron_provision::ssh::port::Move;
use cloudron_provision::steps::ready::{MoveSsh, PlaceProgram};
use cloudron_provision::steps::{Outputs, Step};
use cloudron_provision::{elf, quote};

use super::common::Common;
use super::dns::{CheckRecords, PROPAGATION, WriteRecords};
use super::repository::{self, Chosen, open_copy, prepare};
use super::run::{Begun, Job, run_job, this_program};
use super::writer;
use crate::backups::{self, Folder, RemoteFolder, folder_of};
use crate::commands::dns::account::Account;
use crate::commands::dns::provider::{Host, Kind};
use crate::output::Output;
use crate::records::name_server;
use crate::runtime::block_on;
use crate::ssh;
use crate::state::{Dirs, Reach, SshReach};
use crate::target::Place;

/// Where SSH listens on a machine of ours.
pub(in crate::commands::machine) const SSH_PORT: u16 = 202;

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine create generic --fqdn example.com --ip 203.0.113.7 --ssh-key id_ed25519
  cloudron machine create generic --fqdn example.com --ip 203.0.113.7 --ssh-key ~/.ssh/k \\
      --host-key SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s --backup-key file:key --yes
  cloudron machine create generic --fqdn example.com --ip 203.0.113.9 --ssh-key ~/.ssh/k \\
      --backup latest --store /mnt/disk/example.com --backup-key file:key
  cloudron machine create generic --fqdn example.com --ip 203.0.113.7 --store s3://bucket/example.com \\
      --writer-access-key-id AKIA… --writer-secret-access-key file:writer
  DIGITALOCEAN_TOKEN=… cloudron machine create generic --fqdn example.com --ip 203.0.113.7 --dns digitalocean

The machine needs a fresh Linux with systemd, such as Debian 12, and root by SSH. Afterwards SSH listens on port 202
instead of the port before, once a login on 202 has worked: allow TCP ports 202 and 443 in the machine's firewall and in
the cloud's security group, or leave SSH where it is with --keep-ssh-port.

Backups of an earlier server on the machine are never touched without being asked for: --backup latest restores them,
--backup-key with their key continues in the same repository, and --discard-backups removes them.")]
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
    #[arg(long, value_name = "SECONDS", default_value_t = ssh::LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    connect_timeout: u64,
    /// The program to install, when the machine is of another kind than this computer
    #[arg(long, value_name = "FILE")]
    server_binary: Option<PathBuf>,
    /// Where the server keeps its backups: s3://BUCKET/PREFIX; without it, a folder of the machine. With --backup also a
    /// folder of this computer, which is copied to the machine
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The DNS host that the records are written to, as for `cloudron dns`; or wildcard: you set them at any host, and
    /// they are checked; or none: they are not looked at
    #[arg(long, default_value = "wildcard", value_name = "HOW", value_parser = how)]
    dns: Dns,
    /// Ask this name server rather than find the authoritative ones (repeatable)
    #[arg(long, value_name = "ADDRESS", value_parser = name_server)]
    name_server: Vec<SocketAddr>,
    #[command(flatten)]
    account: Account,
}

/// What is done about the DNS records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dns {
    None,
    At(Kind),
}

fn how(text: &str) -> std::result::Result<Dns, String> {
    if text == "none" {
        return Ok(Dns::None);
    }
    let kinds = || Kind::value_variants().iter().filter_map(Kind::to_possible_value);
    Kind::from_str(text, false).map(Dns::At).map_err(|_| {
        let names: Vec<String> = kinds().map(|kind| kind.get_name().to_owned()).collect();
        format!("expected none, {}", names.join(", "))
    })
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let dirs = Dirs::from_env()?;
    let domain = options.common.domain()?;
    let begun = Begun::find(&options.common, &domain, &dirs)?;
    let mut options = options.clone();
    if let Some(begun) = &begun {
        begun.complete(&mut options.common.backup, &mut options.store);
    }
    let (options, common) = (&options, &options.common);
    let stores = stores(options)?;
    let records = records(options, &dirs, &domain, out)?;
    let job = job(options, &dirs, domain, (&stores.machine, begun), records.clone(), out)?;
    let place = place(&job, &stores, options)?;
    if common.dry_run {
        return job.dry_run(&place, out);
    }
    block_on(|cancel| async move {
        if let Some(records) = &records {
            // Records of others in the way, or a wrong token, come before anything is made.
            records.preflight().await?;
        }
        // A copy has its key, which is tried before the machine is touched. Whether the machine can be reached at all,
        // and what is on it, comes before a key is made and shown.
        let opening = open_copy(&place, common, out).await?;
        if !job.begun.as_ref().is_some_and(Begun::has_met) {
            inspect(&job, options).await?;
            common.check_folders(&*job.provider.connect(&Outputs::new()).await?).await?;
        }
        if let (Some(access), None) = (&job.store_access, &job.begun) {
            writer::check(&job.machine_store, access, &*place.folder.store()?, out).await?;
        }
        let prepared = prepare(&place, common, job.begun.as_ref(), opening, out).await?;
        run_job(job, &place, prepared, out, &cancel).await
    })
}

/// The store of the machine, and the one that is copied there.
struct Stores {
    machine: String,
    copy: Option<String>,
}

/// A bucket is the machine's own store; a folder of this computer is one to copy from.
fn stores(options: &Options) -> Result<Stores> {
    let on_machine = || format!("file://{}", Layout::system().default_store().display());
    let stores = match &options.store {
        Some(url) if folder_of(url).is_none() => Stores { machine: url.clone(), copy: None },
        Some(url) if options.common.backup.is_some() => {
            Stores { machine: on_machine(), copy: Some(repository::absolute(url)?) }
        }
        Some(url) => {
            let text =
                format!("{url} is a folder of this computer, which the server cannot use for its backups");
            return Err(Error::new(&core_codes::USAGE, text)
                .with_hint("give s3://BUCKET/PREFIX, or `--backup latest` to restore from that folder"));
        }
        None => Stores { machine: on_machine(), copy: None },
    };
    options.common.refuse_contradiction(stores.copy.is_some())?;
    Ok(stores)
}

/// Where the repository is, as this computer sees it: in a bucket, or on the machine.
fn place(job: &Job<'_>, stores: &Stores, options: &Options) -> Result<repository::Place> {
    let shown = backups::place(&job.origin, &stores.machine);
    let outputs = job.begun.as_ref().map(|begun| begun.outputs.clone()).unwrap_or_default();
    let (folder, seed) = match folder_of(&stores.machine) {
        None => (Folder::of(&stores.machine)?, None),
        Some(path) => {
            let far = RemoteFolder::at(job.provider.clone(), outputs, path, &shown);
            (Folder::Far(Arc::new(far)), Some(job.dirs.seed(&job.domain)))
        }
    };
    let own = options.store.is_none() || stores.copy.is_some();
    Ok(repository::Place { folder, shown, own, seed, copy: stores.copy.clone() })
}

/// Asks the machine whether it can become this server, before anything is looked at or made. A server that is on it
/// already is not an earlier one.
async fn inspect(job: &Job<'_>, options: &Options) -> Result<()> {
    let remote = job.provider.connect(&Outputs::new()).await?;
    let facts = Facts::ask(&*remote).await?;
    facts.check(&requirements(options)?, job.domain.as_str(), "").map_err(|error| {
        let server = facts.server.as_ref().and_then(|server| Domain::parse_any(&server.fqdn).ok());
        match server.filter(|_| error.kind() == cloudron_core::ErrorKind::Conflict) {
            Some(server) if server == job.domain => {
                let adopt = adopt_command(&server, options);
                error.with_hint(format!("`{adopt}` manages it from this computer"))
            }
            Some(server) => {
                let adopt = adopt_command(&server, options);
                error.with_hint(format!(
                    "use another machine, or remove that server with `{adopt}` and then `cloudron machine destroy {server}`"
                ))
            }
            None => error,
        }
    })
}

/// The command that makes a server known on this computer which is reached with these options.
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

/// What the machine must be.
fn requirements(options: &Options) -> Result<Requirements> {
    let program = options.server_binary.clone().map_or_else(this_program, Ok)?;
    let mut requirements = Requirements::default();
    requirements.architecture = Some(elf::architecture(&program)?);
    Ok(requirements)
}

/// Writing the records, where a host is named that they can be written to.
fn records(
    options: &Options,
    dirs: &Dirs,
    domain: &Domain,
    out: &Output,
) -> Result<Option<Arc<WriteRecords>>> {
    match options.dns {
        Dns::At(kind) if kind != Kind::Wildcard => {
            let host = Host::new(kind, options.account.clone());
            let provider = host.open(&[], out)?;
            let (domain, folder) = (domain.clone(), dirs.dns());
            let (address, name_servers) = (options.ip, options.name_server.clone());
            let patience = PROPAGATION;
            let step = WriteRecords { host, provider, domain, address, name_servers, folder, patience };
            Ok(Some(Arc::new(step)))
        }
        _ if options.account.is_given() => Err(Error::new(
            &core_codes::USAGE,
            "an account at a DNS host means nothing without --dns and the name of the host",
        )),
        _ => Ok(None),
    }
}

fn job<'a>(
    options: &'a Options,
    dirs: &'a Dirs,
    domain: Domain,
    (store, begun): (&str, Option<Begun>),
    records: Option<Arc<WriteRecords>>,
    out: &Output,
) -> Result<Job<'a>> {
    let common = &options.common;
    let layout = Layout::system();
    let program = options.server_binary.clone().map_or_else(this_program, Ok)?;
    let (installed, link) = program_paths(&layout)?;
    let key = ssh::key_file(options.ssh_key.as_deref())?;
    let target = SshTarget::new(options.ip.to_string()).on_port(options.ssh_port).as_user(&options.ssh_user);
    let auth = ssh::auth(key.as_deref(), out, true);
    let provider = Generic::new(target, auth, ssh::first_contact(options.host_key.as_deref(), out)?)
        .requirements(requirements(options)?)
        .within(Duration::from_secs(options.connect_timeout));
    let (provider, after_start): (_, Vec<Arc<dyn Step>>) = if options.keep_ssh_port {
        (provider, Vec::new())
    } else {
        (provider.may_move_to(SSH_PORT), vec![Arc::new(MoveSsh::new(Move::to(SSH_PORT)))])
    };
    let mut last: Vec<Arc<dyn Step>> = Vec::new();
    let dns = records.as_ref().map(|records| records.host.remember(vec![options.ip])).transpose()?;
    if let Some(records) = records {
        last.push(records);
    } else if options.dns == Dns::At(Kind::Wildcard) {
        let name_servers = options.name_server.clone();
        last.push(Arc::new(CheckRecords { domain: domain.clone(), address: options.ip, name_servers }));
    }
    let origin = SshReach {
        host: options.ip.to_string(),
        ssh_port: options.ssh_port,
        ssh_user: options.ssh_user.clone(),
        ssh_key: key,
        host_keys: Vec::new(),
    };
    let before = origin.clone();
    Ok(Job {
        includes: common.includes()?,
        owner: common.owner(out)?,
        provider: Arc::new(provider),
        program: PlaceProgram::new(program, installed).linked_from(link).proven_by("version", "cloudron "),
        origin: Reach::Generic(origin),
        reach: Arc::new(move |outputs| reach(&before, outputs)),
        supervisor: Supervisor::Systemd,
        listen: vec![
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 443)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 443)),
        ],
        store_access: common.store_access(store, out)?,
        machine_store: store.to_owned(),
        chosen: Chosen {
            backup: common.backup.clone(),
            store: options.store.as_deref().map(repository::absolute).transpose()?,
        },
        begun,
        after_start,
        last,
        dns,
        common,
        domain,
        place: Place::system(),
        dirs,
    })
}

pub(super) fn program_paths(layout: &Layout) -> Result<(String, String)> {
    let version = Version::current();
    let text = |path: Option<PathBuf>| path.map(|p| p.to_string_lossy().into_owned());
    text(layout.program(&version)).zip(text(layout.program_link())).ok_or_else(|| {
        Error::new(&core_codes::FAILED, format!("{} has no place for the program", layout::USER))
    })
}

/// How the machine is reached from now on: its host key and port as the steps have recorded them.
fn reach(origin: &SshReach, outputs: &Outputs) -> Result<Reach> {
    let missing = || Error::new(&core_codes::FAILED, "the run did not record the machine's host key");
    let host_key = outputs.get("first-contact").and_then(|o| o["host_key"].as_str()).ok_or_else(missing)?;
    let moved = outputs.get("ssh-port").and_then(|o| o["port"].as_u64()).and_then(|p| u16::try_from(p).ok());
    let mut reach = origin.clone();
    reach.ssh_port = moved.unwrap_or(reach.ssh_port);
    reach.host_keys = vec![host_key.to_owned()];
    Ok(Reach::Generic(reach))
}
