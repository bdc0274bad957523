//! A cloud, and the credentials for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use cloudron_core::{Clock, Error, Result, RetryPolicy, Secret, SystemClock, codes};
use cloudron_dns::hosts;
use cloudron_http::HttpTransport;

use super::Provider;
use crate::registry::DnsRecords;

/// Credentials of an account. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A token.
    Token(Secret),
    /// A key of AWS.
    Keys {
        /// Its ID.
        access_key_id: String,
        /// The secret.
        secret_access_key: Secret,
        /// The session token of temporary credentials.
        session_token: Option<Secret>,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Keys { access_key_id, .. } => f.debug_tuple("Keys").field(access_key_id).finish(),
        }
    }
}

/// An account at a cloud. It is never written to a file.
#[derive(Clone)]
pub struct Account {
    provider: Provider,
    credentials: Credentials,
    region: Option<String>,
    endpoints: BTreeMap<String, String>,
    transport: Arc<dyn HttpTransport>,
    clock: Arc<dyn Clock>,
    retries: Option<RetryPolicy>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("provider", &self.provider)
            .field("credentials", &self.credentials)
            .field("region", &self.region)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Returns an account, with requests sent by this transport. Nothing is sent yet.
    pub fn new(provider: Provider, credentials: Credentials, transport: Arc<dyn HttpTransport>) -> Self {
        let (region, endpoints) = (None, BTreeMap::new());
        let clock = Arc::new(SystemClock);
        Self { provider, credentials, region, endpoints, transport, clock, retries: None }
    }

    /// Sets the region, which a cloud whose interface is one for each region needs.
    #[must_use]
    pub fn in_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets the address of a service in place of the cloud's own: `URL`, or `SERVICE=URL` for one of
    /// [several](Provider::services).
    ///
    /// # Errors
    /// `usage` for what is not such an address, or a service that the cloud does not have.
    pub fn at(mut self, endpoint: &str) -> Result<Self> {
        let (service, url) = match endpoint.split_once('=') {
            Some((service, url)) if !service.contains("://") => (service, url),
            _ => ("", endpoint),
        };
        if !url.contains("://") {
            let message = format!("{endpoint:?} is no address of the form URL or SERVICE=URL");
            return Err(Error::new(&codes::USAGE, message));
        }
        let services = self.provider.services();
        if !service.is_empty() && !services.contains(&service) {
            let (cloud, known) = (self.provider.description(), services.join(", "));
            let message =
                format!("{cloud} has no service {service:?} whose address can be set; it has: {known}");
            return Err(Error::new(&codes::USAGE, message));
        }
        let service = if service == "route53" { "dns" } else { service };
        self.endpoints.insert(service.to_owned(), url.to_owned());
        Ok(self)
    }

    /// Sets the address of the DNS host to the one at which records were written, unless its own was set.
    pub(crate) fn with_dns_of(mut self, records: &DnsRecords) -> Self {
        if let (None, Some(endpoint)) = (self.endpoints.get("dns"), &records.endpoint) {
            self.endpoints.insert("dns".into(), endpoint.clone());
        }
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn by(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how often and how long a request is repeated.
    #[must_use]
    pub fn retries(mut self, policy: RetryPolicy) -> Self {
        self.retries = Some(policy);
        self
    }

    /// Returns the cloud.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Returns the region, if one was set.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Returns the address of a service, or the one that was set for all.
    pub fn endpoint(&self, service: &str) -> Option<&str> {
        self.endpoints.get(service).or_else(|| self.endpoints.get("")).map(String::as_str)
    }

    /// Returns the ID of the access key, which the server must not get. `None` for a token.
    pub(crate) fn access_key_id(&self) -> Option<&str> {
        match &self.credentials {
            Credentials::Keys { access_key_id, .. } => Some(access_key_id),
            Credentials::Token(_) => None,
        }
    }

    pub(crate) fn transport(&self) -> &Arc<dyn HttpTransport> {
        &self.transport
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn retry_policy(&self) -> Option<&RetryPolicy> {
        self.retries.as_ref()
    }

    /// Returns the ID of the access key, its secret, and the session token if there is one.
    ///
    /// # Errors
    /// `usage` for a token.
    #[allow(dead_code, reason = "only for some clouds")]
    pub(crate) fn keys(&self) -> Result<(&str, &Secret, Option<&Secret>)> {
        match &self.credentials {
            Credentials::Keys { access_key_id, secret_access_key, session_token } => {
                Ok((access_key_id, secret_access_key, session_token.as_ref()))
            }
            Credentials::Token(_) => {
                let message = format!("{} takes an access key, not a token", self.provider.description());
                Err(Error::new(&codes::USAGE, message))
            }
        }
    }

    /// Returns the token.
    ///
    /// # Errors
    /// `usage` for other credentials.
    #[allow(dead_code, reason = "only for some clouds")]
    pub(crate) fn token(&self) -> Result<&Secret> {
        match &self.credentials {
            Credentials::Token(token) => Ok(token),
            Credentials::Keys { .. } => {
                let message = format!("{} takes a token", self.provider.description());
                Err(Error::new(&codes::USAGE, message))
            }
        }
    }

    /// Returns the account at the cloud's own DNS host, and the name of the host.
    pub fn dns(&self) -> (&'static str, hosts::Account) {
        let token = match &self.credentials {
            Credentials::Token(token) => Some(token.clone()),
            Credentials::Keys { .. } => None,
        };
        let endpoint = self.endpoint("dns").map(str::to_owned);
        (self.provider.dns_host(), hosts::Account { token, endpoint, ..hosts::Account::default() })
    }
}

/// Returns the address of buckets among endpoints of the form `[SERVICE=]URL`. The one of all services counts at Amazon, whose
/// buckets are one of the services.
pub fn bucket_endpoint(endpoints: &[String], amazon: bool) -> Option<&str> {
    let of_all = |endpoint: &&String| endpoint.split_once('=').is_none_or(|(name, _)| name.contains("://"));
    let all = endpoints.iter().filter(|_| amazon).find(of_all).map(String::as_str);
    endpoints.iter().find_map(|endpoint| endpoint.strip_prefix("s3=")).or(all)
}

#[cfg(test)]
mod tests {
    use super::bucket_endpoint;

    #[test]
    fn the_endpoint_of_all_services_has_the_buckets_at_amazon_only() {
        let given = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let all = given(&["ec2=http://e", "http://a/?x=y"]);
        assert_eq!(bucket_endpoint(&all, true), Some("http://a/?x=y"));
        assert_eq!(bucket_endpoint(&all, false), None);
        assert_eq!(bucket_endpoint(&given(&["http://a", "s3=http://b"]), true), Some("http://b"));
        assert_eq!(bucket_endpoint(&given(&["s3=http://b"]), false), Some("http://b"));
    }
}
