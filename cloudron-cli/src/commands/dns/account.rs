//! Which zone of a DNS host, and as whom the host is spoken to: options, and what is remembered of them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use cloudron_core::{Error, Result};
use cloudron_dns::Name;
use cloudron_machine::DnsRecords;

use crate::records::name_server;

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
    /// Whether any are given.
    pub(crate) fn are_given(&self) -> bool {
        self.token.is_some() || self.tsig_key_file.is_some() || self.ca_file.is_some()
    }
}

impl Account {
    /// Whether any of it is given.
    pub(crate) fn is_given(&self) -> bool {
        let Self { zone, zone_id, endpoint, server, credentials } = self;
        let place = zone.is_some() || zone_id.is_some() || endpoint.is_some() || server.is_some();
        place || credentials.are_given()
    }

    /// What to remember of it for records that are written at a host. The file of a key is named; what is in it, and
    /// tokens, are not kept.
    pub(super) fn remember(&self, provider: String, addresses: Vec<IpAddr>) -> Result<DnsRecords> {
        let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|e| Error::io(path, e));
        Ok(DnsRecords {
            provider,
            addresses,
            zone: self.zone.clone(),
            zone_id: self.zone_id.clone(),
            endpoint: self.endpoint.clone(),
            server: self.server,
            tsig_key_file: self.credentials.tsig_key_file.as_ref().map(absolute).transpose()?,
            ca_file: self.credentials.ca_file.as_ref().map(absolute).transpose()?,
        })
    }

    /// The account that records were written with, with credentials of now.
    pub(super) fn remembered(records: &DnsRecords, mut credentials: Credentials) -> Self {
        if credentials.tsig_key_file.is_none() {
            credentials.tsig_key_file.clone_from(&records.tsig_key_file);
        }
        if credentials.ca_file.is_none() {
            credentials.ca_file.clone_from(&records.ca_file);
        }
        Self {
            zone: records.zone.clone(),
            zone_id: records.zone_id.clone(),
            endpoint: records.endpoint.clone(),
            server: records.server,
            credentials,
        }
    }

    /// The options that give it, as one types them, but for a token.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let all = [
            ("--zone", self.zone.as_ref().map(ToString::to_string)),
            ("--zone-id", self.zone_id.clone()),
            ("--endpoint", self.endpoint.clone()),
            ("--server", self.server.map(|address| address.to_string())),
            ("--tsig-key-file", shown(&self.credentials.tsig_key_file)),
            ("--ca-file", shown(&self.credentials.ca_file)),
        ];
        all.into_iter().filter_map(|(option, value)| Some((option, value?))).collect()
    }
}
