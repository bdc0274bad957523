//! The desired records of a domain: from a file, or those that a machine needs.

use std::fs::File;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use clap::Args;
use cloudron_core::{Domain, Error, Result, codes};
use cloudron_dns::machine::Machine;
use cloudron_dns::zone_file::{self, ReadOptions, ZoneFile};
use cloudron_dns::{Addresses, Intent, MailSettings, Name};
use cloudron_machine::dns::both_families;

use super::mail::Mail;
use crate::output::Output;

/// The records that are wanted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct Desired {
    /// The records: a zone file or JSON, - for standard input. Relative names are below DOMAIN
    #[arg(long, value_name = "FILE", conflicts_with_all = ["machine", "ip", "ipv6", "mail", "caa"])]
    records: Option<PathBuf>,
    /// The records that a machine needs
    #[arg(long)]
    machine: bool,
    /// An address of the machine (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    /// An IPv6 address of the machine (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    ipv6: Vec<Ipv6Addr>,
    /// Accept a name below a registered domain for a machine
    #[arg(long)]
    allow_subdomain: bool,
    #[command(flatten)]
    mail: Mail,
}

/// The desired records of a domain.
pub(crate) struct Wanted {
    pub name: Name,
    pub intents: Vec<Intent>,
    /// The machine, if the records are not from a file.
    pub machine: Option<(Domain, Addresses, MailSettings)>,
}

impl Desired {
    /// Returns true if the records are read from standard input.
    pub(crate) fn reads_stdin(&self) -> bool {
        self.records.as_deref().is_some_and(|path| path.as_os_str() == "-")
    }

    /// Reads the desired records of a domain.
    ///
    /// # Errors
    /// `usage` if no records were given; `dns-zone-file` and file errors.
    pub(crate) fn read(&self, domain: &str, out: &Output) -> Result<Wanted> {
        if domain.trim_end_matches('.').is_empty() {
            return Err(Error::new(&codes::USAGE, "DOMAIN is empty"));
        }
        if let Some(path) = &self.records {
            let name = Name::parse(domain)?;
            let file =
                records(path, &name).map_err(|e| e.while_doing(format!("reading {}", path.display())))?;
            if file.sets.is_empty() {
                out.warn(&format!("{} holds no records", path.display()));
            }
            for note in &file.notes {
                out.warn(&format!("{} line {}: {}", path.display(), note.line, note.what));
            }
            let intents = file.sets.into_iter().map(Intent::Exactly).collect();
            return Ok(Wanted { name, intents, machine: None });
        }
        if self.ip.is_empty() && self.ipv6.is_empty() {
            return Err(Error::new(&codes::USAGE, "nothing says which records are wanted")
                .with_hint("give --records FILE, or --machine --ip ADDRESS"));
        }
        let (domain, addresses, mail) = self.machine(domain)?;
        if let Some(policy) = &mail.mta_sts {
            let text = policy.policy().replace('\r', "");
            let address = format!("https://mta-sts.{domain}/.well-known/mta-sts.txt");
            out.say(&format!("Serve this at {address} before the record is set:\n{}", text.trim_end()));
        }
        let mut machine = Machine::new(&domain, addresses.clone()).with_mail(mail.clone());
        if let Some(issuer) = self.mail.issuer() {
            machine = machine.with_caa(issuer);
        }
        let (name, intents) = (Name::from(&domain), machine.intents()?);
        Ok(Wanted { name, intents, machine: Some((domain, addresses, mail)) })
    }

    /// Returns the machine that the options describe.
    ///
    /// # Errors
    /// `domain` if the domain is not valid for a machine, and errors of [`Mail::settings`].
    fn machine(&self, domain: &str) -> Result<(Domain, Addresses, MailSettings)> {
        let domain = if self.allow_subdomain { Domain::parse_any(domain)? } else { Domain::parse(domain)? };
        let all: Vec<IpAddr> =
            self.ip.iter().copied().chain(self.ipv6.iter().copied().map(IpAddr::V6)).collect();
        let mail = self.mail.settings(&Name::from(&domain).below("my")?)?;
        Ok((domain, both_families(&all), mail))
    }
}

fn records(path: &PathBuf, origin: &Name) -> Result<ZoneFile> {
    let options = ReadOptions::new(origin.clone());
    if path.as_os_str() == "-" {
        return zone_file::read_from(std::io::stdin().lock(), path, &options);
    }
    zone_file::read_from(File::open(path).map_err(|e| Error::io(path, e))?, path, &options)
}

/// Drops the SOA record and the name servers of the zone, which belong to the DNS host. Zone files from
/// another host contain them.
pub(crate) fn without_apex(mut desired: Vec<Intent>, apex: &Name, out: &Output) -> Vec<Intent> {
    let before = desired.len();
    desired.retain(|intent| !intent.is_of_host(apex));
    if desired.len() < before {
        out.say(&format!("The SOA record and the name servers of {apex} itself are left to the DNS host."));
    }
    desired
}
