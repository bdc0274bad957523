//! The client, from options, and the repetition of refused requests.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_route53::Client;
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::timeout::TimeoutConfig;
use aws_sdk_route53::config::{
    AsyncSleep, BehaviorVersion, Builder, Credentials, IdentityCache, Region, Sleep,
};
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use cloudron_core::{Error, Result};
use cloudron_http::{HttpTransport, aws_sdk};

use super::failure::Failure;
use super::{Route53Options, Route53Provider};
use crate::codes;

pub(super) fn new(options: &Route53Options, transport: Arc<dyn HttpTransport>) -> Result<Client> {
    let endpoint = options.endpoint.as_deref();
    if let Some(endpoint) = endpoint {
        check_endpoint(endpoint)?;
    }
    let (id, secret) = options.key()?;
    let token = options.session_token.as_ref().map(|t| t.expose().to_owned());
    // Repeating, and the limit of time, are ours.
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_sdk::client(transport))
        .credentials_provider(Credentials::new(id, secret.expose(), token, None, "cloudron"))
        .identity_cache(IdentityCache::no_cache())
        .region(Region::new(options.region.clone().unwrap_or_else(|| "us-east-1".to_owned())))
        .sleep_impl(Pause)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled());
    config.set_endpoint_url(endpoint.map(str::to_owned));
    Ok(Client::from_conf(config.build()))
}

/// Pauses, which the SDK asks for although nothing here makes it pause.
#[derive(Debug)]
struct Pause;

impl AsyncSleep for Pause {
    fn sleep(&self, length: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(length))
    }
}

fn check_endpoint(endpoint: &str) -> Result<()> {
    if cloudron_http::is_endpoint(endpoint) {
        return Ok(());
    }
    // Not quoted: it may hold a password.
    Err(Error::new(&codes::CREDENTIALS, "the endpoint is no address such as https://route53.example.com"))
}

/// Failures after which a request may be retried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// All transient ones: the request changes nothing.
    Always,
    /// Only those that guarantee that nothing was done.
    Refused,
}

impl Route53Provider {
    /// Sends a request until it is answered for good, or the policy is used up.
    pub(super) async fn send<T, E, F>(
        &self,
        repeat: Repeat,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut retries = self.options.retry.begin(&*self.clock);
        loop {
            let failure = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => Failure::new(&error),
            };
            let may = failure.is_passing && (repeat == Repeat::Always || !failure.may_be_done);
            if !may || !retries.again(&failure.message, None).await {
                return Err(failure);
            }
        }
    }
}
