//! `cloudron machine adopt`

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cloudron_api::{BoxCommand, Description};
use cloudron_core::{Domain, Error, Result};
use cloudron_provision::Runner;
use cloudron_provision::facts::Facts;
use cloudron_provision::local::Local;
use cloudron_provision::ssh::HostKeyPolicy;
use serde_json::json;

use super::Which;
use super::record_copy::RecordCopy;
use crate::codes;
use crate::connect::{self, ASK, Session};
use crate::output::Output;
use crate::runtime::block_on;
use crate::ssh;
use crate::state::{Dirs, Kept, KeptBackups, Machine, Machines, Reach, SshReach};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine adopt example.com --ip 203.0.113.7 --ssh-key id_ed25519
  cloudron machine adopt demo.localhost

Makes a running server known to this computer, such as when the computer that made it is lost. Everything that is
needed is on the server; on the server nothing changes. Without --ip it is the machine that `destroy --forget` forgot,
or a local one whose folder is there.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// The machine's address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// The private key, as for `create generic`
    #[arg(long, value_name = "KEY", requires = "ip")]
    ssh_key: Option<String>,
    /// The port that SSH listens on; without it, 202 and then 22
    #[arg(long, value_name = "PORT", requires = "ip", value_parser = clap::value_parser!(u16).range(1..))]
    ssh_port: Option<u16>,
    /// The user to log in as; another one than root needs sudo without a password
    #[arg(long, value_name = "USER", requires = "ip", default_value = "root")]
    ssh_user: String,
    /// The fingerprint of the machine's host key; without it, known_hosts and a question
    #[arg(long, value_name = "SHA256:…", requires = "ip")]
    host_key: Option<String>,
    /// How long to wait for the machine to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ssh::LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    connect_timeout: u64,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let dirs = Dirs::from_env()?;
    let domain = options.which.domain()?;
    let (machines, kept) = (Machines::at(dirs.machines()), KeptBackups::at(dirs.kept()));
    if machines.find(&domain)?.is_some() {
        let text = format!("the machine {domain} is known on this computer already");
        return Err(Error::new(&codes::MACHINE_KNOWN, text)
            .with_hint(format!("`cloudron machine status {domain}` shows it")));
    }
    Runner::new(dirs.runs()).check_finished(domain.as_str()).map_err(|e| {
        e.with_hint(format!(
            "type the command that began it with --resume, or `cloudron machine destroy {domain}` removes what it made"
        ))
    })?;
    let forgotten = kept.find(&domain)?;
    let (reach, described) = block_on(|_| async {
        let reach = reach(options, &domain, forgotten.as_ref(), &dirs, out).await?;
        let target = connect::target_of(&reach, out, ASK).await?;
        let described: Description = target.call(&BoxCommand::Describe).await?;
        Ok((reach, described))
    })?;
    let copy = described.record.clone().map(RecordCopy::read).transpose()?;
    let machine = machine(&domain, reach, described, copy.as_ref())?;
    if let Some(copy) = &copy {
        copy.take_over(&domain, &dirs, out)?;
    }
    machines.put(&machine)?;
    kept.forget(&machine)?;
    report(&machine, out)
}

/// How the machine is reached from this computer, and that it runs this server.
async fn reach(
    options: &Options,
    domain: &Domain,
    forgotten: Option<&Kept>,
    dirs: &Dirs,
    out: &Output,
) -> Result<Reach> {
    if let Some(ip) = options.ip {
        let key = ssh::key_file(options.ssh_key.as_deref())?;
        let origin = SshReach {
            host: ip.to_string(),
            ssh_port: options.ssh_port.unwrap_or(super::SSH_PORT),
            ssh_user: options.ssh_user.clone(),
            ssh_key: key,
            host_keys: Vec::new(),
        };
        let ports = options.ssh_port.map_or_else(|| vec![super::SSH_PORT, 22], |port| vec![port]);
        let policy = ssh::first_contact(options.host_key.as_deref(), out)?;
        let limit = Duration::from_secs(options.connect_timeout);
        return over_ssh(domain, origin, &ports, policy, limit, out).await;
    }
    match forgotten.map(|kept| kept.reach.clone()) {
        Some(Reach::Generic(reach)) => {
            let ports = [super::SSH_PORT, reach.ssh_port, 22];
            let (policy, limit) = (ssh::pinned(&reach)?, Duration::from_secs(options.connect_timeout));
            over_ssh(domain, reach, &ports, policy, limit, out).await
        }
        _ => local(domain, dirs.local_root(domain)),
    }
}

async fn over_ssh(
    domain: &Domain,
    origin: SshReach,
    ports: &[u16],
    policy: HostKeyPolicy,
    limit: Duration,
    out: &Output,
) -> Result<Reach> {
    let remote = ssh::connect_any(&origin, ports, policy, limit, out).await?;
    let facts = Facts::ask(&remote).await?;
    match facts.server.map(|server| server.fqdn) {
        Some(name) if name == domain.as_str() => {}
        Some(name) => {
            let text = format!("{} runs the server {name:?}, not {domain}", origin.host);
            return Err(Error::new(&cloudron_provision::codes::MACHINE_TAKEN, text)
                .with_hint("give the domain of the server that is on the machine"));
        }
        None => return Err(no_server(domain, &format!("on {}", origin.host))),
    }
    let mut reach = origin;
    reach.ssh_port = remote.target().port;
    reach.host_keys = vec![remote.host_key().to_string()];
    Ok(Reach::Generic(reach))
}

fn local(domain: &Domain, root: PathBuf) -> Result<Reach> {
    match Local::new(&root).installed() {
        Some(server) if server.fqdn == domain.as_str() => Ok(Reach::Local { root }),
        _ => Err(no_server(domain, "on this computer").with_hint(
            "for a server on another machine, give its address with --ip and the key with --ssh-key",
        )),
    }
}

fn no_server(domain: &Domain, place: &str) -> Error {
    Error::new(&cloudron_box::codes::MACHINE_MISSING, format!("no server {domain} is installed {place}"))
        .with_hint("`cloudron machine create generic --help` shows how to make one, new or from a backup")
}

/// The record, from what the machine says of itself.
fn machine(domain: &Domain, reach: Reach, said: Description, copy: Option<&RecordCopy>) -> Result<Machine> {
    if said.fqdn != *domain {
        let text = format!("the server calls itself {}, not {domain}", said.fqdn);
        return Err(Error::new(&cloudron_provision::codes::MACHINE_TAKEN, text));
    }
    let mut dns = copy.and_then(|copy| copy.dns.clone());
    if let Some(dns) = &mut dns {
        // A file of the computer that made the machine.
        dns.tsig_key_file = dns.tsig_key_file.take().filter(|path| path.is_file());
    }
    Ok(Machine {
        schema: 1,
        fqdn: said.fqdn,
        run: said.run,
        created: copy.map_or_else(SystemTime::now, |copy| copy.created),
        reach,
        ca_pem: said.ca_pem,
        port: said.port,
        store: said.store,
        dns,
        copied: None,
        destroying: false,
    })
}

/// Says what was adopted, and whether its server answers.
fn report(machine: &Machine, out: &Output) -> Result<()> {
    let status = block_on(|_| async { Session::open(machine, out).await?.client.status().await });
    let json = json!([{
        "fqdn": machine.fqdn, "provider": machine.reach.provider(), "place": machine.reach.place(),
        "store": machine.store, "answers": status.is_ok(),
    }]);
    out.data("machines", &json, || {
        format!("Adopted {}. Its backups are {}", machine.fqdn, machine.backups())
    })?;
    super::create::only_copy(machine, out);
    if let Err(error) = status {
        out.warn(&format!(
            "the server does not answer: {error}\n`cloudron machine start {}` starts it",
            machine.fqdn
        ));
    }
    Ok(())
}
