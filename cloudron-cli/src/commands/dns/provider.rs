//! Where zones are kept: the one place in which a provider is made from options.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use cloudron_core::{Error, Result, Secret, codes};
use cloudron_dns::cloudflare::Cloudflare;
use cloudron_dns::digitalocean::DigitalOcean;
use cloudron_dns::hetzner::Hetzner;
use cloudron_dns::powerdns::PowerDns;
use cloudron_dns::propagation::Lookup;
use cloudron_dns::rfc2136::{Rfc2136Options, Rfc2136Provider, TsigKey};
use cloudron_dns::wildcard::WildcardProvider;
use cloudron_dns::{DnsProvider, Name, Zone, ZoneChoice};
use cloudron_http::{HttpOptions, HttpTransport, ReqwestTransport};
use cloudron_machine::DnsRecords;
use cloudron_machine::dns::DnsHost;
use cloudron_provision::quote;

use super::account::{Account, Credentials};
use crate::output::Output;
use crate::records::{lookup, name_server};
use crate::secrets;

/// A DNS host that this program speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Amazon Route 53
    #[cfg(feature = "route53")]
    Route53,
    /// DigitalOcean
    #[value(name = "digitalocean")]
    DigitalOcean,
    /// Any server that takes dynamic updates: BIND, Knot, PowerDNS
    Rfc2136,
    /// PowerDNS by its HTTP interface
    #[value(name = "powerdns")]
    PowerDns,
    /// Cloudflare
    Cloudflare,
    /// Hetzner's cloud
    Hetzner,
    /// Any other host: you set the records, this program prints and checks them
    Wildcard,
}

/// Where the zone is kept, and as whom it is spoken to.
#[derive(Debug, Args)]
#[command(next_help_heading = "DNS host")]
pub(crate) struct Host {
    /// The DNS host
    #[arg(long, value_enum, value_name = "HOST")]
    provider: Kind,
    #[command(flatten)]
    account: Account,
}

impl Host {
    /// A host and the account there.
    pub(crate) fn new(provider: Kind, account: Account) -> Self {
        Self { provider, account }
    }

    /// The host that records were written at, with credentials of now.
    ///
    /// # Errors
    /// `usage` when this program does not know the host.
    pub(crate) fn remembered(records: &DnsRecords, credentials: Credentials) -> Result<Self> {
        let provider = Kind::from_str(&records.provider, false).map_err(|_| {
            let message = format!("this program was built without the DNS host {}", records.provider);
            Error::new(&codes::USAGE, message)
        })?;
        Ok(Self::new(provider, Account::remembered(records, credentials)))
    }

    /// What to remember of it for records that lead to these addresses: nothing secret.
    pub(crate) fn remember(&self, addresses: Vec<IpAddr>) -> Result<DnsRecords> {
        self.account.remember(self.id(), addresses)
    }

    /// The options that name it, to be typed after a command, but for a token.
    pub(crate) fn options(&self) -> String {
        let options = self.account.options();
        let shown = options.iter().map(|(option, value)| format!(" {option} {}", quote::argument(value)));
        format!("--provider {}{}", self.id(), shown.collect::<String>())
    }

    /// Its short name: `route53`.
    pub(crate) fn id(&self) -> String {
        self.provider.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
    }

    /// The token's option, for those who read standard input too.
    pub(crate) fn token(&self) -> Option<&String> {
        self.account.credentials.token.as_ref()
    }

    /// The provider. Nothing is sent yet. The name servers are those that `wildcard` asks.
    pub(crate) fn open(&self, name_servers: &[SocketAddr], out: &Output) -> Result<Arc<dyn DnsProvider>> {
        self.check_options()?;
        Ok(match self.provider {
            #[cfg(feature = "route53")]
            Kind::Route53 => Arc::new(self.route53()?),
            Kind::DigitalOcean => {
                let token = self.secret("DIGITALOCEAN_TOKEN", out)?;
                self.at(DigitalOcean::with_transport(token, self.transport()?), DigitalOcean::at)?
            }
            Kind::Cloudflare => {
                let token = self.secret("CLOUDFLARE_API_TOKEN", out)?;
                self.at(Cloudflare::with_transport(token, self.transport()?), Cloudflare::at)?
            }
            Kind::Hetzner => {
                let token = self.secret("HETZNER_API_TOKEN", out)?;
                self.at(Hetzner::with_transport(token, self.transport()?), Hetzner::at)?
            }
            Kind::PowerDns => {
                let endpoint = self.endpoint().unwrap_or("http://127.0.0.1:8081");
                let key = self.secret("PDNS_API_KEY", out)?;
                Arc::new(PowerDns::with_transport(endpoint, key, self.transport()?)?)
            }
            Kind::Rfc2136 => Arc::new(self.rfc2136()?),
            Kind::Wildcard => {
                Arc::new(WildcardProvider::new(lookup(name_servers)?).within(Duration::from_secs(30)))
            }
        })
    }

    /// What a host with an interface is reached through: the proxies that the environment names, and trusting the file that
    /// the options name.
    fn transport(&self) -> Result<Arc<dyn HttpTransport>> {
        let options = HttpOptions::from_env()?.with_ca_file(self.account.credentials.ca_file.clone());
        Ok(Arc::new(ReqwestTransport::new(options)?))
    }

    /// A provider at the address that the options name, if they do.
    fn at<P: DnsProvider + 'static>(
        &self,
        provider: P,
        at: fn(P, &str) -> Result<P>,
    ) -> Result<Arc<dyn DnsProvider>> {
        Ok(Arc::new(match self.endpoint() {
            Some(endpoint) => at(provider, endpoint)?,
            None => provider,
        }))
    }

    /// Refuses options that the provider would silently leave unread.
    fn check_options(&self) -> Result<()> {
        let (mine, id) = (self.provider, self.id());
        let dynamic = mine == Kind::Rfc2136;
        let by_hand = mine == Kind::Wildcard;
        #[cfg(feature = "route53")]
        let takes_token = !dynamic && !by_hand && mine != Kind::Route53;
        #[cfg(not(feature = "route53"))]
        let takes_token = !dynamic && !by_hand;
        for (given, right, option) in [
            (self.account.server.is_some(), dynamic, "--server"),
            (self.account.credentials.tsig_key_file.is_some(), dynamic, "--tsig-key-file"),
            (self.account.credentials.token.is_some(), takes_token, "--token"),
            (self.account.endpoint.is_some(), !dynamic && !by_hand, "--endpoint"),
            (self.account.credentials.ca_file.is_some(), !dynamic && !by_hand, "--ca-file"),
        ] {
            if given && !right {
                return Err(Error::new(&codes::USAGE, format!("{option} means nothing to {id}")));
            }
        }
        let service =
            self.account.endpoint.as_deref().and_then(|e| e.split_once('=')).map(|(service, _)| service);
        match service {
            Some(other) if !other.contains(':') && other != id => {
                Err(Error::new(&codes::USAGE, format!("--endpoint is for {other}, and the DNS host is {id}")))
            }
            _ => Ok(()),
        }
    }

    /// The address without the name of the service, which is this one's: that was checked.
    fn endpoint(&self) -> Option<&str> {
        let endpoint = self.account.endpoint.as_deref()?;
        Some(endpoint.strip_prefix(&*self.id()).and_then(|rest| rest.strip_prefix('=')).unwrap_or(endpoint))
    }

    /// The token, from its option or the variable.
    fn secret(&self, variable: &str, out: &Output) -> Result<Secret> {
        if let Some(reference) = &self.account.credentials.token {
            return secrets::resolve(reference, "--token", out);
        }
        match std::env::var(variable).ok().filter(|v| !v.trim().is_empty()) {
            Some(text) => Ok(Secret::new(text.trim())),
            None => Err(Error::new(
                &cloudron_dns::codes::CREDENTIALS,
                format!("there is no token for {}", self.id()),
            )
            .with_hint(format!("set {variable}, or give --token as file:PATH, env:NAME, cmd:PROGRAM or -"))),
        }
    }

    #[cfg(feature = "route53")]
    fn route53(&self) -> Result<cloudron_dns::route53::Route53Provider> {
        let mut options = cloudron_dns::route53::Route53Options::from_env()?;
        if let Some(endpoint) = self.endpoint() {
            options.endpoint = Some(endpoint.to_owned());
        }
        if let Some(file) = &self.account.credentials.ca_file {
            options.ca_file = Some(file.clone());
        }
        options.zone_id.clone_from(&self.account.zone_id);
        options.zone_name.clone_from(&self.account.zone);
        cloudron_dns::route53::Route53Provider::new(options)
    }

    fn rfc2136(&self) -> Result<Rfc2136Provider> {
        let server = self.account.server.ok_or_else(|| {
            Error::new(&codes::USAGE, "rfc2136 needs --server with the address of the primary name server")
        })?;
        let mut options = Rfc2136Options::new(server);
        let key = match &self.account.credentials.tsig_key_file {
            Some(path) => Some(Secret::new(std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?)),
            None => std::env::var("CLOUDRON_TSIG_KEY").ok().filter(|v| !v.is_empty()).map(Secret::new),
        };
        if let Some(key) = key {
            options = options.with_key(TsigKey::parse(key.expose())?);
        }
        if let Some(zone) = &self.account.zone {
            options = options.with_zone(zone.clone());
        }
        Ok(Rfc2136Provider::new(options))
    }

    /// Which zone the options name.
    fn zone(&self) -> ZoneChoice {
        ZoneChoice { name: self.account.zone.clone(), id: self.account.zone_id.clone() }
    }

    /// The host, for a machine's records.
    pub(crate) fn for_machine(&self, provider: Arc<dyn DnsProvider>) -> DnsHost {
        DnsHost { id: self.id(), provider, zone: self.zone() }
    }

    /// The zone of a name: the one that the options name, or the closest that encloses it.
    pub(crate) async fn find_zone(&self, provider: &dyn DnsProvider, domain: &Name) -> Result<Zone> {
        self.zone().find(provider, domain).await.map_err(|e| {
            if e.is(&cloudron_dns::codes::PROVIDER_DOWN) && provider.id() != "rfc2136" {
                return e.with_hint("check this computer's network, and the address given with --endpoint");
            }
            if e.is(&cloudron_http::codes::CERTIFICATE) && e.hint().is_some() {
                return e.with_hint(
                    "if the host has a private authority, give the file with its certificate with --ca-file",
                );
            }
            match e.is(&cloudron_dns::codes::ZONE_AMBIGUOUS) {
                true => e.with_hint("say which one with --zone-id"),
                false => e,
            }
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
