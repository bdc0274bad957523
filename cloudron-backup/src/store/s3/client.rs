//! The client, from options.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use cloudron_core::{Error, Result};

use crate::codes;
use crate::store::StoreOptions;

/// How long it may take to be connected.
const CONNECT: Duration = Duration::from_secs(15);
/// How long no byte may arrive while an answer is awaited.
const SILENCE: Duration = Duration::from_secs(60);

pub(super) fn new(options: &StoreOptions) -> Result<Client> {
    let endpoint = options.endpoint.as_deref();
    if let Some(endpoint) = endpoint {
        check_endpoint(endpoint)?;
    }
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE.min(options.timeout))
        .operation_attempt_timeout(options.timeout)
        .build();
    // Other services mostly do not know the newer checksums: they get Content-MD5.
    let checksums = match endpoint {
        None => RequestChecksumCalculation::WhenSupported,
        Some(_) => RequestChecksumCalculation::WhenRequired,
    };
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client(endpoint))
        .credentials_provider(credentials(options)?)
        .region(Region::new(options.region.clone().unwrap_or_else(|| "us-east-1".to_owned())))
        .force_path_style(options.path_style.unwrap_or(endpoint.is_some()))
        .request_checksum_calculation(checksums)
        // Every object is checked by the hash in its name or by its encryption.
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    config.set_endpoint_url(endpoint.map(str::to_owned));
    Ok(Client::from_conf(config.build()))
}

fn check_endpoint(endpoint: &str) -> Result<()> {
    if cloudron_core::http::is_endpoint(endpoint) {
        return Ok(());
    }
    // Not quoted: it may hold a password.
    Err(Error::new(&codes::STORE_OPTION, "the endpoint is no address such as https://s3.example.com"))
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

fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    match endpoint {
        // A test server, or one behind a tunnel: no certificates are needed.
        Some(endpoint) if endpoint.starts_with("http://") => builder.build_http(),
        _ => builder.tls_provider(Provider::rustls(CryptoMode::Ring)).build_https(),
    }
}
