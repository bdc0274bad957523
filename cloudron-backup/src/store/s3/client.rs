//! Creates the S3 client from options.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, IdentityCache, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider,
};
use cloudron_core::{Error, Result};
use cloudron_http::{HttpOptions, ReqwestTransport, aws_sdk};

use super::instance::Instance;
use crate::codes;
use crate::store::StoreOptions;

/// The timeout for connecting.
const CONNECT: Duration = Duration::from_secs(15);
/// The timeout for a response without any new byte.
const SILENCE: Duration = Duration::from_secs(60);

pub(super) fn new(options: &StoreOptions) -> Result<Client> {
    let endpoint = options.endpoint.as_deref();
    if let Some(endpoint) = endpoint {
        check_endpoint(endpoint)?;
    }
    // Most other services do not support the newer checksums: they get Content-MD5.
    let checksums = match endpoint {
        None => RequestChecksumCalculation::WhenSupported,
        Some(_) => RequestChecksumCalculation::WhenRequired,
    };
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_sdk::client(Arc::new(transport(options)?)))
        .credentials_provider(provider(options)?)
        .region(Region::new(options.region.clone().unwrap_or_else(|| "us-east-1".to_owned())))
        .force_path_style(options.path_style.unwrap_or(endpoint.is_some()))
        .request_checksum_calculation(checksums)
        // Every object is checked by the hash in its name or by its encryption.
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        // The transport sets the timeouts.
        .timeout_config(TimeoutConfig::disabled());
    if options.of_instance {
        // The client of the metadata service keeps them as long as is right.
        config = config.identity_cache(IdentityCache::no_cache());
    }
    config.set_endpoint_url(endpoint.map(str::to_owned));
    Ok(Client::from_conf(config.build()))
}

fn check_endpoint(endpoint: &str) -> Result<()> {
    if cloudron_http::is_endpoint(endpoint) {
        return Ok(());
    }
    // Not quoted: it may hold a password.
    Err(Error::new(&codes::STORE_OPTION, "the endpoint is no address such as https://s3.example.com"))
}

fn provider(options: &StoreOptions) -> Result<SharedCredentialsProvider> {
    Ok(match options.of_instance {
        true => SharedCredentialsProvider::new(Instance::from_env()?),
        false => SharedCredentialsProvider::new(credentials(options)?),
    })
}

fn credentials(options: &StoreOptions) -> Result<Credentials> {
    let (Some(id), Some(secret)) = (&options.access_key_id, &options.secret_access_key) else {
        let text = "there are no credentials for the store: an access key id and its secret are needed";
        return Err(Error::new(&codes::STORE_OPTION, text)
            .with_hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials"));
    };
    let token = options.session_token.as_ref().map(|t| t.expose().to_owned());
    Ok(Credentials::new(id, secret.expose(), token, None, "cloudron"))
}

/// Creates the HTTP transport. Objects are already compressed and encrypted, and their lengths are checked on
/// storage; HTTP/2 would send all uploads through one connection.
fn transport(options: &StoreOptions) -> Result<ReqwestTransport> {
    let mut http = HttpOptions::from_env()?.within(options.timeout).with_ca_file(options.ca_file.clone());
    http.ca_pem.clone_from(&options.ca_pem);
    http.connect_timeout = Some(CONNECT);
    http.read_timeout = Some(SILENCE.min(options.timeout));
    // Callers limit the size of what they request.
    http.longest_answer = usize::MAX;
    (http.compression, http.http2) = (false, false);
    ReqwestTransport::new(http)
}
