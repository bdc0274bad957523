//! The DNS host of an account's cloud.

use std::sync::Arc;

use cloudron_core::{Error, Result};
use cloudron_dns::{DnsProvider, codes};

use super::{Account, Provider};

/// Opens the cloud's own DNS host. Nothing is sent yet. Returns its short name too.
///
/// # Errors
/// `dns-credentials` if this program was built without it, and errors of the address.
pub(crate) fn own_host(account: &Account) -> Result<(&'static str, Arc<dyn DnsProvider>)> {
    let provider: Arc<dyn DnsProvider> = match account.provider() {
        #[cfg(feature = "digitalocean")]
        Provider::DigitalOcean => {
            use cloudron_dns::digitalocean::DigitalOcean;
            let host = DigitalOcean::with_transport(account.token()?.clone(), account.transport().clone());
            match account.endpoint("dns") {
                Some(endpoint) => Arc::new(host.at(endpoint)?),
                None => Arc::new(host),
            }
        }
        #[cfg(feature = "ec2")]
        Provider::Ec2 => route53(account)?,
        #[cfg(feature = "hetzner")]
        Provider::Hetzner => {
            use cloudron_dns::hetzner::Hetzner;
            let host = Hetzner::with_transport(account.token()?.clone(), account.transport().clone());
            match account.endpoint("dns") {
                Some(endpoint) => Arc::new(host.at(endpoint)?),
                None => Arc::new(host),
            }
        }
    };
    Ok((account.provider().dns_host(), provider))
}

#[cfg(all(feature = "ec2", feature = "route53"))]
fn route53(account: &Account) -> Result<Arc<dyn DnsProvider>> {
    use cloudron_dns::route53::{Route53Options, Route53Provider};
    let (access_key_id, secret_access_key, session_token) = account.keys()?;
    let mut options = Route53Options::default();
    options.endpoint = account.endpoint("dns").map(str::to_owned);
    options.access_key_id = Some(access_key_id.to_owned());
    options.secret_access_key = Some(secret_access_key.clone());
    options.session_token = session_token.cloned();
    Ok(Arc::new(Route53Provider::with_transport(options, account.transport().clone())?))
}

#[cfg(all(feature = "ec2", not(feature = "route53")))]
fn route53(_: &Account) -> Result<Arc<dyn DnsProvider>> {
    Err(without())
}

/// The error for a DNS host that this program was built without.
#[allow(dead_code, reason = "only without Route 53")]
fn without() -> Error {
    Error::new(&codes::CREDENTIALS, "this program was built without Amazon Route 53")
}
