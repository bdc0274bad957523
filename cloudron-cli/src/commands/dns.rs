//! `cloudron dns`

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Subcommand;
use cloudron_core::{Domain, Error, Result};
use serde_json::json;

use crate::codes;
use crate::output::Output;
use crate::records::{Records, name_server};
use crate::runtime::block_on;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say which records a machine needs, and whether every authoritative name server has them
    Check(Check),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron dns check example.com --ip 203.0.113.7
  cloudron dns check example.com --ip 203.0.113.7 --ip 2001:db8::7 --mail
  cloudron dns check home.test --ip 192.168.1.5 --name-server 192.168.1.1

Exit code 10 when a server has something else, or does not answer.")]
pub(crate) struct Check {
    /// The domain
    domain: String,
    /// An address of the machine (repeatable)
    #[arg(long, value_name = "ADDRESS", required = true)]
    ip: Vec<IpAddr>,
    /// The machine receives and sends mail of the domain
    #[arg(long)]
    mail: bool,
    /// Ask this server rather than find the authoritative ones (repeatable)
    #[arg(long, value_name = "ADDRESS", value_parser = name_server)]
    name_server: Vec<SocketAddr>,
    /// Accept a name below a registered domain
    #[arg(long)]
    allow_subdomain: bool,
    /// How long to ask, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        let Self::Check(options) = self;
        let domain = if options.allow_subdomain {
            Domain::parse_any(&options.domain)?
        } else {
            Domain::parse(&options.domain)?
        };
        let limit = Duration::from_secs(options.timeout);
        let records = Records::new(&domain, &options.ip, options.mail, &options.name_server, limit)?;
        let instructions = records.instructions()?;
        let report = block_on(|_| records.check())
            .map_err(|e| e.while_doing(format!("asking the name servers of {domain}")))?;
        if out.is_json() {
            let records = serde_json::to_value(&instructions.set).unwrap_or_default();
            out.json_object(
                json!({ "records": records, "servers": report.servers, "agrees": report.agrees() }),
            )?;
        } else {
            out.text(&format!("{instructions}\n{report}"))?;
        }
        if report.agrees() {
            return Ok(());
        }
        Err(Error::new(
            &codes::DNS_DIFFERS,
            format!("the records of {domain} are not what they must be on every server"),
        )
        .with_hint("set the records above at your DNS host, and run this again"))
    }
}
