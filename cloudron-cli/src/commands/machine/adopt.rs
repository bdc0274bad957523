//! `cloudron machine adopt`

use std::net::IpAddr;
use std::time::Duration;

use cloudron_core::{Error, Result, codes};
use cloudron_machine::Machine;
use cloudron_machine::access::{LIMIT, key_file};
use cloudron_machine::adopt::{AdoptRequest, SshAddress};
use cloudron_machine::clouds::{Provider, SshLogin};
use serde_json::json;

use super::Which;
use crate::commands::cloud::account::{Account, provider};
use crate::machines::{client, manager};
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// The machine's address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "provider")]
    ip: Option<IpAddr>,
    /// The cloud that has the machine, whose address and host key are found there
    #[arg(long, value_name = "CLOUD", value_parser = provider())]
    provider: Option<Provider>,
    /// The private key, as for `create generic`
    #[arg(long, value_name = "KEY")]
    ssh_key: Option<String>,
    /// The port that SSH listens on; without it, 202 and then 22
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    ssh_port: Option<u16>,
    /// The user to log in as, with passwordless sudo unless it is root; otherwise root, or the one that a cloud's image has
    #[arg(long, value_name = "USER")]
    ssh_user: Option<String>,
    /// The fingerprint of the machine's host key; without it, known_hosts and a question
    #[arg(long, value_name = "SHA256:…", requires = "ip")]
    host_key: Option<String>,
    /// How long to wait for the machine to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    connect_timeout: u64,
    #[command(flatten)]
    account: Account,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let (domain, limit) = (options.which.domain()?, Duration::from_secs(options.connect_timeout));
    let machine = match options.provider {
        Some(cloud) => {
            let manager = options.account.manager(cloud, out)?;
            let (key, user) = (key_file(options.ssh_key.as_deref())?, options.ssh_user.clone());
            let login = SshLogin { key, user, port: options.ssh_port.unwrap_or(22) };
            block_on(|_| async { manager.adopt_from_account(&domain, &login, limit).await })
        }
        None => {
            options.account.unused()?;
            let request = AdoptRequest { domain: domain.clone(), at: options.at()?, connect_timeout: limit };
            let manager = manager(out)?;
            block_on(|_| async { manager.adopt(&request).await })
        }
    };
    report(&machine?, out)
}

impl Options {
    /// Returns the address to reach the machine at.
    fn at(&self) -> Result<Option<SshAddress>> {
        let Some(address) = self.ip else {
            return match self.ssh_key {
                None => Ok(None),
                Some(_) => {
                    Err(Error::new(&codes::USAGE, "--ssh-key means nothing without --ip or --provider"))
                }
            };
        };
        Ok(Some(SshAddress {
            address,
            ssh_key: key_file(self.ssh_key.as_deref())?,
            ssh_port: self.ssh_port,
            ssh_user: self.ssh_user.clone().unwrap_or_else(|| "root".into()),
            host_key: self.host_key.clone(),
        }))
    }
}

/// Reports the adopted machine, and whether its server answers.
fn report(machine: &Machine, out: &Output) -> Result<()> {
    let status = block_on(|_| async { client(machine, out).await?.status().await });
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
