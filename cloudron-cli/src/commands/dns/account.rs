//! Options for the zone and the account at a DNS host, and their stored form.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use cloudron_dns::propagation::name_server;
use cloudron_dns::{Name, hosts};

/// Which zone of a DNS host, and as whom it is spoken to.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "DNS host")]
pub(crate) struct Account {
    /// The zone, when it is not the one that encloses DOMAIN most closely
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) zone: Option<Name>,
    /// The host's id of the zone, where several have the same name
    #[arg(long, value_name = "ID")]
    pub(super) zone_id: Option<String>,
    /// The address of another service than the host's own
    #[arg(long, value_name = "[SERVICE=]URL")]
    pub(super) endpoint: Option<String>,
    /// For rfc2136: the primary server
    #[arg(long, value_name = "ADDRESS", value_parser = name_server)]
    pub(super) server: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) credentials: Credentials,
}

/// As whom a DNS host is spoken to.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "DNS host")]
pub(crate) struct Credentials {
    /// The host's token; otherwise DIGITALOCEAN_TOKEN, CLOUDFLARE_API_TOKEN, HETZNER_API_TOKEN or PDNS_API_KEY. Route 53
    /// reads the variables of Amazon's own tools
    #[arg(long, value_name = "SECRET")]
    pub(super) token: Option<String>,
    /// For rfc2136: the file with the key that updates are signed with; otherwise CLOUDRON_TSIG_KEY
    #[arg(long, value_name = "FILE")]
    pub(super) tsig_key_file: Option<PathBuf>,
    /// A file of certificates in PEM to trust besides those of the system: of a private authority, or of a host that signed
    /// its own
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
}

fn name(text: &str) -> std::result::Result<Name, String> {
    Name::parse(text).map_err(|e| e.message().to_owned())
}

impl Credentials {
    /// The reference to the token.
    pub(crate) fn token(&self) -> Option<&String> {
        self.token.as_ref()
    }

    /// The file of certificates to trust.
    pub(crate) fn ca_file(&self) -> Option<PathBuf> {
        self.ca_file.clone()
    }

    /// The same with another token.
    pub(crate) fn with_token(&self, token: Option<String>) -> Self {
        Self { token, ..self.clone() }
    }

    /// Returns true if any credential is given.
    pub(crate) fn are_given(&self) -> bool {
        self.token.is_some() || self.tsig_key_file.is_some() || self.ca_file.is_some()
    }
}

impl Account {
    /// Returns true if any of the options is given.
    pub(crate) fn is_given(&self) -> bool {
        self.settings() != hosts::Account::default() || self.credentials.are_given()
    }

    /// The account, without its token: that one is read last.
    pub(super) fn settings(&self) -> hosts::Account {
        hosts::Account {
            zone: self.zone.clone(),
            zone_id: self.zone_id.clone(),
            endpoint: self.endpoint.clone(),
            server: self.server,
            token: None,
            tsig_key_file: self.credentials.tsig_key_file.clone(),
            ca_file: self.credentials.ca_file.clone(),
        }
    }
}
