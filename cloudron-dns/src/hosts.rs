//! DNS hosts by their names: which there are, what an account at one is made of, and opening it.
//!
//! There are those whose features are turned on.
//!
//! ```
//! use cloudron_dns::hosts::{Host, Setting};
//!
//! for host in Host::ALL {
//!     assert_eq!(Host::find(host.id()), Some(*host));
//!     assert!(!host.takes(Setting::Server) || host.id() == "rfc2136");
//! }
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use cloudron_core::Secret;

use crate::{DnsProvider, Error, Name, Result, ZoneChoice, codes};

/// A DNS host that this crate speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Host {
    /// Amazon Route 53.
    #[cfg(feature = "route53")]
    Route53,
    /// DigitalOcean.
    #[cfg(feature = "digitalocean")]
    DigitalOcean,
    /// Any server that takes dynamic updates.
    #[cfg(feature = "rfc2136")]
    Rfc2136,
    /// PowerDNS by its HTTP interface.
    #[cfg(feature = "powerdns")]
    PowerDns,
    /// Cloudflare.
    #[cfg(feature = "cloudflare")]
    Cloudflare,
    /// Hetzner's cloud.
    #[cfg(feature = "hetzner")]
    Hetzner,
    /// Any other host: a person sets the records.
    #[cfg(feature = "wildcard")]
    Wildcard,
}

/// A part of an account, besides the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// [`Account::server`].
    Server,
    /// [`Account::tsig_key_file`].
    TsigKey,
    /// [`Account::token`].
    Token,
    /// [`Account::endpoint`].
    Endpoint,
    /// [`Account::ca_file`].
    CaFile,
}

/// Which zone of a DNS host, and as whom the host is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The zone, when it is not the one that encloses a name most closely.
    pub zone: Option<Name>,
    /// The host's id of the zone, where several have the same name.
    pub zone_id: Option<String>,
    /// The address of another service than the host's own, as `URL` or `HOST=URL`.
    pub endpoint: Option<String>,
    /// The primary name server, for dynamic updates.
    pub server: Option<SocketAddr>,
    /// The token. Without it, the variable that [`Host::token_variable`] names.
    pub token: Option<Secret>,
    /// The file with the key that updates are signed with. Without it, the key in `CLOUDRON_TSIG_KEY`, if any.
    pub tsig_key_file: Option<PathBuf>,
    /// A file of certificates in PEM to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Account {
    /// Returns which zone it is about.
    pub fn zone(&self) -> ZoneChoice {
        ZoneChoice { name: self.zone.clone(), id: self.zone_id.clone() }
    }

    /// Returns whether a setting is given.
    pub fn has(&self, setting: Setting) -> bool {
        match setting {
            Setting::Server => self.server.is_some(),
            Setting::TsigKey => self.tsig_key_file.is_some(),
            Setting::Token => self.token.is_some(),
            Setting::Endpoint => self.endpoint.is_some(),
            Setting::CaFile => self.ca_file.is_some(),
        }
    }
}

impl Host {
    /// All of them.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "route53")]
        Self::Route53,
        #[cfg(feature = "digitalocean")]
        Self::DigitalOcean,
        #[cfg(feature = "rfc2136")]
        Self::Rfc2136,
        #[cfg(feature = "powerdns")]
        Self::PowerDns,
        #[cfg(feature = "cloudflare")]
        Self::Cloudflare,
        #[cfg(feature = "hetzner")]
        Self::Hetzner,
        #[cfg(feature = "wildcard")]
        Self::Wildcard,
    ];

    /// Finds the host of a short name.
    pub fn find(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|host| host.id() == id)
    }

    /// Returns its short name, and what it is.
    fn named(self) -> (&'static str, &'static str) {
        match self {
            #[cfg(feature = "route53")]
            Self::Route53 => ("route53", "Amazon Route 53"),
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => ("digitalocean", "DigitalOcean"),
            #[cfg(feature = "rfc2136")]
            Self::Rfc2136 => ("rfc2136", "Any server that takes dynamic updates: BIND, Knot, PowerDNS"),
            #[cfg(feature = "powerdns")]
            Self::PowerDns => ("powerdns", "PowerDNS by its HTTP interface"),
            #[cfg(feature = "cloudflare")]
            Self::Cloudflare => ("cloudflare", "Cloudflare"),
            #[cfg(feature = "hetzner")]
            Self::Hetzner => ("hetzner", "Hetzner's cloud"),
            #[cfg(feature = "wildcard")]
            Self::Wildcard => {
                ("wildcard", "Any other host: you set the records, this program prints and checks them")
            }
        }
    }

    /// Returns its short name, such as `route53`.
    pub fn id(self) -> &'static str {
        self.named().0
    }

    /// Returns what it is, for people.
    pub fn description(self) -> &'static str {
        self.named().1
    }

    /// Returns whether records are set by a person there, and not by a program.
    pub fn is_by_hand(self) -> bool {
        self.id() == "wildcard"
    }

    /// Returns whether a setting means something to it.
    pub fn takes(self, setting: Setting) -> bool {
        let dynamic = self.id() == "rfc2136";
        match setting {
            Setting::Server | Setting::TsigKey => dynamic,
            Setting::Token => self.token_variable().is_some(),
            Setting::Endpoint | Setting::CaFile => !dynamic && !self.is_by_hand(),
        }
    }

    /// Returns the environment variable that has the token; `None` for a host that takes no token.
    pub fn token_variable(self) -> Option<&'static str> {
        match self.id() {
            "digitalocean" => Some("DIGITALOCEAN_TOKEN"),
            "cloudflare" => Some("CLOUDFLARE_API_TOKEN"),
            "hetzner" => Some("HETZNER_API_TOKEN"),
            "powerdns" => Some("PDNS_API_KEY"),
            _ => None,
        }
    }

    /// Makes a provider of it. Nothing is sent yet. The name servers are those that `wildcard` asks; without any, it finds
    /// the authoritative ones. Settings that it does not [take](Self::takes) are not read.
    ///
    /// # Errors
    /// `dns-credentials` when there is no token; `dns-tsig-key`; `usage` when there is no server for dynamic updates; those
    /// of reading files and of making an HTTP client.
    pub fn open(self, account: &Account, name_servers: &[SocketAddr]) -> Result<Arc<dyn DnsProvider>> {
        let _ = (account, name_servers);
        match self {
            #[cfg(feature = "route53")]
            Self::Route53 => {
                let mut options = crate::route53::Route53Options::from_env()?;
                if let Some(endpoint) = self.endpoint(account) {
                    options.endpoint = Some(endpoint.to_owned());
                }
                if let Some(file) = &account.ca_file {
                    options.ca_file = Some(file.clone());
                }
                options.zone_id.clone_from(&account.zone_id);
                options.zone_name.clone_from(&account.zone);
                Ok(Arc::new(crate::route53::Route53Provider::new(options)?))
            }
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => {
                use crate::digitalocean::DigitalOcean;
                let provider = DigitalOcean::with_transport(self.token(account)?, transport(account)?);
                at(provider, self.endpoint(account), DigitalOcean::at)
            }
            #[cfg(feature = "cloudflare")]
            Self::Cloudflare => {
                use crate::cloudflare::Cloudflare;
                let provider = Cloudflare::with_transport(self.token(account)?, transport(account)?);
                at(provider, self.endpoint(account), Cloudflare::at)
            }
            #[cfg(feature = "hetzner")]
            Self::Hetzner => {
                use crate::hetzner::Hetzner;
                let provider = Hetzner::with_transport(self.token(account)?, transport(account)?);
                at(provider, self.endpoint(account), Hetzner::at)
            }
            #[cfg(feature = "powerdns")]
            Self::PowerDns => {
                let endpoint = self.endpoint(account).unwrap_or("http://127.0.0.1:8081");
                let (key, transport) = (self.token(account)?, transport(account)?);
                Ok(Arc::new(crate::powerdns::PowerDns::with_transport(endpoint, key, transport)?))
            }
            #[cfg(feature = "rfc2136")]
            Self::Rfc2136 => dynamic(account),
            #[cfg(feature = "wildcard")]
            Self::Wildcard => {
                use crate::propagation::Lookup;
                let lookup = match name_servers {
                    [] => Lookup::system()?,
                    given => Lookup::at(given.iter().copied()),
                };
                let provider = crate::wildcard::WildcardProvider::new(lookup);
                Ok(Arc::new(provider.within(std::time::Duration::from_secs(30))))
            }
        }
    }

    /// The address without the name of the host before it.
    #[allow(dead_code, reason = "not every host has one")]
    fn endpoint(self, account: &Account) -> Option<&str> {
        let endpoint = account.endpoint.as_deref()?;
        Some(endpoint.strip_prefix(self.id()).and_then(|rest| rest.strip_prefix('=')).unwrap_or(endpoint))
    }

    /// The token, of the account or of the environment.
    #[allow(dead_code, reason = "not every host has one")]
    fn token(self, account: &Account) -> Result<Secret> {
        if let Some(token) = &account.token {
            return Ok(token.clone());
        }
        let variable = self.token_variable().unwrap_or_default();
        match std::env::var(variable).ok().filter(|value| !value.trim().is_empty()) {
            Some(token) => Ok(Secret::new(token.trim())),
            None => {
                let message = format!("there is no token for {}", self.id());
                Err(Error::new(&codes::CREDENTIALS, message).with_hint(format!("set {variable}")))
            }
        }
    }
}

/// A provider at that address, if there is one.
#[cfg(feature = "_rest")]
#[allow(dead_code, reason = "not every host has an address by default")]
fn at<P: DnsProvider + 'static>(
    provider: P,
    endpoint: Option<&str>,
    at: fn(P, &str) -> Result<P>,
) -> Result<Arc<dyn DnsProvider>> {
    Ok(Arc::new(match endpoint {
        Some(endpoint) => at(provider, endpoint)?,
        None => provider,
    }))
}

/// Returns the HTTP client for a host: it uses the proxies from the environment and trusts the account's CA file.
#[cfg(feature = "_rest")]
fn transport(account: &Account) -> Result<Arc<dyn cloudron_http::HttpTransport>> {
    let options = cloudron_http::HttpOptions::from_env()?.with_ca_file(account.ca_file.clone());
    Ok(Arc::new(cloudron_http::ReqwestTransport::new(options)?))
}

/// The server that takes dynamic updates.
#[cfg(feature = "rfc2136")]
fn dynamic(account: &Account) -> Result<Arc<dyn DnsProvider>> {
    use crate::rfc2136::{Rfc2136Options, Rfc2136Provider, TsigKey};
    let server = account.server.ok_or_else(|| {
        let message = "dynamic updates need the address of the primary name server";
        Error::new(&cloudron_core::codes::USAGE, message)
    })?;
    let mut options = Rfc2136Options::new(server);
    let key = match &account.tsig_key_file {
        Some(path) => Some(Secret::new(std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?)),
        None => std::env::var("CLOUDRON_TSIG_KEY").ok().filter(|v| !v.is_empty()).map(Secret::new),
    };
    if let Some(key) = key {
        options = options.with_key(TsigKey::parse(key.expose())?);
    }
    if let Some(zone) = &account.zone {
        options = options.with_zone(zone.clone());
    }
    Ok(Arc::new(Rfc2136Provider::new(options)))
}
