//! Where zones are kept: the one place in which a DNS host is opened from options.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use cloudron_core::{Error, Result, codes};
use cloudron_dns::hosts::{self, Setting};
use cloudron_dns::propagation::{Lookup, name_server};
use cloudron_dns::{DnsProvider, Name, Zone};
use cloudron_machine::DnsRecords;
use cloudron_machine::dns::{DnsHost, lookup};
use cloudron_provision::quote;

use super::account::{Account, Credentials};
use crate::hints;
use crate::output::Output;
use crate::secrets;

/// The options that give a setting.
const OPTIONS: [(Setting, &str); 5] = [
    (Setting::Server, "--server"),
    (Setting::TsigKey, "--tsig-key-file"),
    (Setting::Token, "--token"),
    (Setting::Endpoint, "--endpoint"),
    (Setting::CaFile, "--ca-file"),
];

/// Where the zone is kept, and as whom it is spoken to.
#[derive(Debug, Args)]
#[command(next_help_heading = "DNS host")]
pub(crate) struct HostOptions {
    /// The DNS host
    #[arg(long, value_name = "HOST", value_parser = kinds())]
    provider: hosts::Host,
    #[command(flatten)]
    account: Account,
}

/// The names of the hosts, with what they are.
fn kinds() -> impl TypedValueParser<Value = hosts::Host> {
    let value = |host: &hosts::Host| PossibleValue::new(host.id()).help(host.description());
    let names = PossibleValuesParser::new(hosts::Host::ALL.iter().map(value));
    names.try_map(|name| hosts::Host::find(&name).ok_or("there is no such host"))
}

impl HostOptions {
    pub(crate) fn host(&self) -> Host {
        Host::new(self.provider, &self.account)
    }

    /// Returns the token option, for checking that only one option reads standard input.
    pub(crate) fn token(&self) -> Option<&String> {
        self.account.credentials.token.as_ref()
    }
}

/// A DNS host and the account there, with where its token is read.
pub(crate) struct Host {
    host: hosts::Host,
    account: hosts::Account,
    token: Option<String>,
}

impl Host {
    /// A host and the account there.
    pub(crate) fn new(host: hosts::Host, account: &Account) -> Self {
        Self::at(host, account.settings(), account.credentials.token.clone())
    }

    /// A host and the account there, with where its token is read.
    pub(crate) fn at(host: hosts::Host, account: hosts::Account, token: Option<String>) -> Self {
        Self { host, account, token }
    }

    /// The host that records were written at, with credentials of now.
    ///
    /// # Errors
    /// `usage` when this program does not know the host.
    pub(crate) fn remembered(records: &DnsRecords, credentials: &Credentials) -> Result<Self> {
        let host = hosts::Host::find(&records.provider).ok_or_else(|| {
            let message = format!("this program was built without the DNS host {}", records.provider);
            Error::new(&codes::USAGE, message)
        })?;
        let mut account = records.account();
        account.tsig_key_file = credentials.tsig_key_file.clone().or(account.tsig_key_file);
        account.ca_file = credentials.ca_file.clone().or(account.ca_file);
        Ok(Self { host, account, token: credentials.token.clone() })
    }

    /// The account, but for the token.
    pub(crate) fn account(&self) -> &hosts::Account {
        &self.account
    }

    /// Returns the options that select the host, to append to a command, without the token.
    pub(crate) fn options(&self) -> String {
        let account = &self.account;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let all = [
            ("--zone", account.zone.as_ref().map(ToString::to_string)),
            ("--zone-id", account.zone_id.clone()),
            ("--endpoint", account.endpoint.clone()),
            ("--server", account.server.map(|address| address.to_string())),
            ("--tsig-key-file", path(&account.tsig_key_file)),
            ("--ca-file", path(&account.ca_file)),
        ];
        let given = all.into_iter().filter_map(|(option, value)| Some((option, value?)));
        let shown = given.map(|(option, value)| format!(" {option} {}", quote::argument(&value)));
        format!("--provider {}{}", self.id(), shown.collect::<String>())
    }

    /// Its short name: `route53`.
    pub(crate) fn id(&self) -> &'static str {
        self.host.id()
    }

    /// Creates the provider. Sends nothing yet. `name_servers` are those that `wildcard` queries.
    pub(crate) fn open(&self, name_servers: &[SocketAddr], out: &Output) -> Result<Arc<dyn DnsProvider>> {
        self.check_options()?;
        let mut account = self.account.clone();
        if let Some(reference) = &self.token {
            account.token = Some(secrets::resolve(reference, "--token", out)?);
        }
        self.host.open(&account, name_servers).map_err(|e| match self.host.token_variable() {
            Some(variable) if e.is(&cloudron_dns::codes::CREDENTIALS) && account.token.is_none() => e
                .with_hint(format!(
                    "set {variable}, or give --token as file:PATH, env:NAME, cmd:PROGRAM or -"
                )),
            _ => e,
        })
    }

    /// Refuses options that the provider would silently leave unread, and names those that it needs.
    fn check_options(&self) -> Result<()> {
        let id = self.id();
        for (setting, option) in OPTIONS {
            let given = self.account.has(setting) || (setting == Setting::Token && self.token.is_some());
            if given && !self.host.takes(setting) {
                return Err(Error::new(&codes::USAGE, format!("{option} means nothing to {id}")));
            }
        }
        let service = self.account.endpoint.as_deref().and_then(|e| e.split_once('='));
        match service {
            Some((other, _)) if !other.contains(':') && other != id => {
                Err(Error::new(&codes::USAGE, format!("--endpoint is for {other}, and the DNS host is {id}")))
            }
            _ if self.host.takes(Setting::Server) && !self.account.has(Setting::Server) => {
                let message = format!("{id} needs --server with the address of the primary name server");
                Err(Error::new(&codes::USAGE, message))
            }
            _ => Ok(()),
        }
    }

    /// Returns the host for a machine's records.
    pub(crate) fn for_machine(&self, provider: Arc<dyn DnsProvider>) -> DnsHost {
        DnsHost { id: self.id().to_owned(), provider, zone: self.account.zone() }
    }

    /// Finds the zone of a name: the one given by the options, or the closest that contains it.
    pub(crate) async fn find_zone(&self, provider: &dyn DnsProvider, domain: &Name) -> Result<Zone> {
        self.account.zone().find(provider, domain).await.map_err(|e| {
            if e.is(&cloudron_dns::codes::PROVIDER_DOWN) && provider.id() != "rfc2136" {
                return e.with_hint("check this computer's network, and the address given with --endpoint");
            }
            if e.is(&cloudron_http::codes::CERTIFICATE) && e.hint().is_some() {
                return e.with_hint(
                    "if the host has a private authority, give the file with its certificate with --ca-file",
                );
            }
            hints::on(&cloudron_dns::codes::ZONE_AMBIGUOUS, "say which one with --zone-id")(e)
        })
    }
}

/// Which name servers are asked what they answer.
#[derive(Debug, Args)]
pub(crate) struct Servers {
    /// Ask this server rather than find the authoritative ones (repeatable)
    #[arg(long, value_name = "ADDRESS", value_parser = name_server)]
    pub name_server: Vec<SocketAddr>,
}

impl Servers {
    pub(crate) fn lookup(&self) -> Result<Lookup> {
        lookup(&self.name_server)
    }
}
