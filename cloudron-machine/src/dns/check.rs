//! DNS records of a machine at a host without an API: which records to set, and whether they are set.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cloudron_core::{Domain, Result};
use cloudron_dns::propagation::{Lookup, Report};
use cloudron_dns::wildcard::WildcardProvider;
use cloudron_dns::{Addresses, Instructions, Intent, MailSettings, Name, find_zone, machine_records};

/// The records that a machine needs, and the name servers to query for them.
pub struct Records {
    domain: Domain,
    desired: Vec<Intent>,
    provider: WildcardProvider,
}

impl Records {
    /// Returns the records for a machine with these addresses. If `name_servers` is empty, the authoritative
    /// ones are found.
    pub fn new(
        domain: &Domain,
        addresses: &[IpAddr],
        mail: bool,
        name_servers: &[SocketAddr],
        limit: Duration,
    ) -> Result<Self> {
        let all = both_families(addresses);
        let mail = if mail { MailSettings::on() } else { MailSettings::off() };
        let lookup = lookup(name_servers)?;
        Ok(Self {
            domain: domain.clone(),
            desired: machine_records(domain, &all, &mail)?,
            provider: WildcardProvider::new(lookup).within(limit),
        })
    }

    /// Returns the records that the user has to set.
    pub fn instructions(&self) -> Result<Instructions> {
        Ok(WildcardProvider::instructions(&Name::parse(self.domain.zone())?, &self.desired))
    }

    /// Checks the records on every authoritative name server.
    pub async fn check(&self) -> Result<Report> {
        let zone = find_zone(&self.provider, &Name::parse(self.domain.as_str())?).await?;
        self.provider.check(&zone, &self.desired).await
    }
}

/// Splits addresses by family.
pub fn both_families(all: &[IpAddr]) -> Addresses {
    let mut addresses = Addresses::default();
    for address in all {
        match address {
            IpAddr::V4(v4) => addresses.v4.push(*v4),
            IpAddr::V6(v6) => addresses.v6.push(*v6),
        }
    }
    addresses
}

/// Returns the lookup of authoritative name servers: the given ones, or found by recursion from the root.
pub fn lookup(name_servers: &[SocketAddr]) -> Result<Lookup> {
    match name_servers {
        [] => Lookup::system(),
        given => Ok(Lookup::at(given.iter().copied())),
    }
}

/// Returns the zone that contains a name, as found in the DNS.
pub async fn zone_of(lookup: &Lookup, name: &Name, limit: Duration) -> Result<Name> {
    let provider = WildcardProvider::new(lookup.clone()).within(limit);
    Ok(find_zone(&provider, name).await?.apex)
}
